"""How long uploads take: percentiles of the newest ones, and the slowest with their laps."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from typing import Any

from edge_app.records.inspection import Inspection

KEPT = 1000
SLOWEST = 20
SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}


class Latency:
    """Looks at every upload that was taken in, the unanswered ones too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: deque[float] = deque(maxlen=KEPT)
        self._slowest: list[tuple[float, int, dict[str, Any]]] = []

    def add(self, inspection: Inspection) -> None:
        """Take one in."""
        with self._lock:
            self._newest.append(inspection.total_ms)
            if len(self._slowest) < SLOWEST:
                heapq.heappush(self._slowest, _entry(inspection))
            elif inspection.total_ms > self._slowest[0][0]:
                heapq.heapreplace(self._slowest, _entry(inspection))

    def percentiles(self) -> dict[str, float | None]:
        """`p50`, `p95`, `p99` and `max` of the newest, in milliseconds; null without any."""
        with self._lock:
            ordered = sorted(self._newest)
        if not ordered:
            return dict.fromkeys(SHARES)
        last = len(ordered) - 1
        return {name: round(ordered[round(last * share)], 3) for name, share in SHARES.items()}

    def slowest(self) -> list[dict[str, Any]]:
        """The slowest since the start, slowest first."""
        with self._lock:
            return [about for _, _, about in sorted(self._slowest, key=lambda e: e[:2])][::-1]


def _entry(inspection: Inspection) -> tuple[float, int, dict[str, Any]]:
    about = {
        "id": inspection.id,
        "verdict": str(inspection.decision),
        "captured_at": inspection.captured_at,
        "total_ms": round(inspection.total_ms, 3),
        "laps_ms": {lap: round(ms, 3) for lap, ms in inspection.laps_ms.items()},
    }
    return inspection.total_ms, inspection.id, about
