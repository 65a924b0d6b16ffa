"""How long the last parts took: percentiles, and the mean beside them, never alone."""

from __future__ import annotations

from collections import deque

KEPT = 1000


class Latency:
    """Milliseconds of the last parts, oldest first."""

    def __init__(self) -> None:
        self._ms: deque[float] = deque(maxlen=KEPT)

    def add(self, ms: float) -> None:
        """Count one part."""
        self._ms.append(ms)

    def percentiles(self) -> dict[str, float]:
        """`p50`, `p95`, `p99`, `max`, `mean` and `count` of the parts kept; zeros without any."""
        ordered = sorted(self._ms.copy())
        if not ordered:
            return {"p50": 0.0, "p95": 0.0, "p99": 0.0, "max": 0.0, "mean": 0.0, "count": 0}
        top = len(ordered) - 1
        shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
        found = {name: round(ordered[round(top * share)], 3) for name, share in shares.items()}
        return found | {"mean": round(sum(ordered) / len(ordered), 3), "count": len(ordered)}
