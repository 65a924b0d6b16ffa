"""What the app says of itself: health in one word, and everything that is live."""

from __future__ import annotations

import importlib.metadata
import time
from typing import Any

from edge_app.inference.interpreter import installed_runtimes
from edge_app.records.damage import notice
from edge_app.surroundings import Surroundings
from edge_app.watched import Watched


class AppStatus:
    """Puts together what app and lines know of themselves.

    Args:
        watched: Who is asked.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._started_at = time.monotonic()
        self.version = importlib.metadata.version("lineside")
        self._runtimes = installed_runtimes()

    @property
    def surroundings(self) -> Surroundings:
        """The computer itself."""
        return self._watched.surroundings

    def health(self) -> tuple[dict[str, Any], bool]:
        """The short form, and whether the app can judge an upload."""
        uploads, lines = self._watched.uploads, self._watched.lines
        loaded = uploads.engines.peek()
        model = loaded.label if loaded else None
        down = [name for name in lines.names if not lines.state(name).to_json()["up"]]
        problem, failing = uploads.engines.problem(), uploads.recorder.failing
        healthy = model is not None and not (problem or down or failing)
        return {
            "status": "ok" if healthy else "degraded",
            "model_loaded": model is not None,
            "model": model,
            "reason": problem,
            "lines_down": down,
            "records": failing or "ok",
            "records_notice": notice(self._watched.data_dir),
            "version": self.version,
        }, model is not None

    def to_json(self) -> dict[str, Any]:
        """The long form."""
        document, _ = self.health()
        uploads, lines = self._watched.uploads, self._watched.lines
        return document | {
            "time": time.time(),
            "uptime_s": round(time.monotonic() - self._started_at, 1),
            "runtimes": self._runtimes,
            "uploads": uploads.door.to_json()
            | {
                "latency_ms": uploads.latency.percentiles(),
                "slowest": uploads.latency.slowest(),
            },
            "models": [
                {
                    "name": loaded.name,
                    "version": loaded.version,
                    "runtime": loaded.engine.runtime,
                    "threads": loaded.engine.threads,
                    "invoke_ms": round(loaded.invoke_ms, 3),
                    "memory_mb": round(loaded.engine.memory_bytes / 1e6, 3),
                    "sha256": loaded.engine.sha256,
                    "limits": loaded.engine.spec.limits.to_json(),
                    "labels": list(loaded.engine.spec.task.labels),
                }
                for loaded in uploads.engines.loaded()
            ],
            "box": self.surroundings.to_json(),
            "pictures": {
                "failing": uploads.archive.failing,
                "limited": uploads.archive.limited,
                "kept_bytes": uploads.archive.kept_bytes,
            },
            "written": self._watched.ledger.to_json(),
            "lines": {name: lines.state(name).to_json() for name in lines.names},
        }
