"""What the app says of itself: health in one word, and everything that is live."""

from __future__ import annotations

import importlib.metadata
import time
from pathlib import Path
from typing import Any

from edge_app.inference.interpreter import installed_runtimes
from edge_app.lines import Lines
from edge_app.records.damage import notice
from edge_app.records.ledger import Ledger
from edge_app.surroundings import Surroundings
from edge_app.uploads import Uploads


class AppStatus:
    """Puts together what app and lines know of themselves.

    Args:
        uploads: The app's own work.
        lines: The lines, as last heard.
        surroundings: The computer itself.
        ledger: What the app writes.
        data_dir: Where the records are.
    """

    def __init__(
        self,
        uploads: Uploads,
        lines: Lines,
        surroundings: Surroundings,
        ledger: Ledger,
        data_dir: Path,
    ) -> None:
        self._uploads = uploads
        self._lines = lines
        self.surroundings = surroundings
        self._ledger = ledger
        self._data_dir = data_dir
        self._started_at = time.monotonic()
        self.version = importlib.metadata.version("lineside")
        self._runtimes = installed_runtimes()

    def health(self) -> tuple[dict[str, Any], bool]:
        """The short form, and whether the app can judge an upload."""
        loaded = self._uploads.engines.peek()
        model = loaded.label if loaded else None
        down = [name for name in self._lines.names if not self._lines.state(name).to_json()["up"]]
        problem = self._uploads.engines.problem()
        failing = self._uploads.recorder.failing
        healthy = model is not None and not (problem or down or failing)
        return {
            "status": "ok" if healthy else "degraded",
            "model_loaded": model is not None,
            "model": model,
            "reason": problem,
            "lines_down": down,
            "records": failing or "ok",
            "records_notice": notice(self._data_dir),
            "version": self.version,
        }, model is not None

    def to_json(self) -> dict[str, Any]:
        """The long form."""
        document, _ = self.health()
        return document | {
            "time": time.time(),
            "uptime_s": round(time.monotonic() - self._started_at, 1),
            "runtimes": self._runtimes,
            "uploads": self._uploads.door.to_json()
            | {
                "latency_ms": self._uploads.latency.percentiles(),
                "slowest": self._uploads.latency.slowest(),
            },
            "models": [
                {
                    "name": loaded.name,
                    "version": loaded.version,
                    "runtime": loaded.engine.runtime,
                    "threads": loaded.engine.threads,
                    "invoke_ms": round(loaded.invoke_ms, 3),
                    "memory_mb": round(loaded.engine.memory_bytes / 1e6, 3),
                    "sha256": loaded.engine.bundle.sha256,
                    "limits": loaded.engine.spec.limits.to_json(),
                    "labels": list(loaded.engine.spec.task.labels),
                }
                for loaded in self._uploads.engines.loaded()
            ],
            "box": self.surroundings.to_json(),
            "pictures": {
                "failing": self._uploads.archive.failing,
                "limited": self._uploads.archive.limited,
                "kept_bytes": self._uploads.archive.kept_bytes,
            },
            "written": self._ledger.to_json(),
            "lines": {name: self._lines.state(name).to_json() for name in self._lines.names},
        }
