"""Stands for a line: answers on the control socket with what a test sets, and can die."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from device import picture

from edge_app.inference.judge import Code, Decision
from edge_app.records.database import Database
from edge_app.records.inspection import Inspection

LIMITS = {"good": ["red"], "accept": 0.9, "reject": 0.5}
REASONS = {
    Decision.OK: "red 97.5%, accepted from 90%",
    Decision.NG: "blue 97.5%, good 1.5%, rejected below 50%",
    Decision.REVIEW: "red 71.0%, between 50% and 90%",
    Decision.NONE: "no decision within 200 ms",
}
SCORES = {
    Decision.OK: {"red": 0.975, "green": 0.015, "blue": 0.01},
    Decision.NG: {"red": 0.015, "green": 0.01, "blue": 0.975},
    Decision.REVIEW: {"red": 0.71, "green": 0.2, "blue": 0.09},
    Decision.NONE: {},
}


class LineDouble:
    """A line as the app sees it.

    Args:
        data_dir: The device's data; its socket is made below `run`.
        name: The camera's name.
    """

    def __init__(self, data_dir: Path, name: str) -> None:
        self.name = name
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.shift = {"ok": 0, "ng": 0, "review": 0, "none": 0, "missed": 0}
        self.changes: dict[str, Any] = {}
        self.live = picture("red", 64, 48, "JPEG")
        self._data_dir = data_dir
        self._last: tuple[Inspection, float] | None = None
        self._next_id = 70_001
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def start(self) -> None:
        """Answer from now on."""
        path = self._data_dir / "run" / f"{self.name}.sock"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._server = socketserver.ThreadingUnixStreamServer(str(path), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Be gone, as after a kill: the socket's file stays and nobody answers."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(2)
            self._server = None

    def part(self, decision: Decision, part: str = "", **more: Any) -> Inspection:
        """A part goes by: recorded, counted, told."""
        scores = SCORES[decision]
        label = max(scores, key=lambda name: scores[name], default="")
        inspection = Inspection(
            id=self._next_id,
            camera=self.name,
            source="plc",
            trigger=self._next_id % 60_000,
            part=part,
            job=1,
            model="colours/1",
            decision=decision,
            code=Code.DEADLINE if decision is Decision.NONE else Code.FINE,
            reason=REASONS[decision],
            label=label,
            score=scores.get(label, 0.0),
            scores=scores,
            laps_ms={"frame": 3.0, "preprocess": 1.5, "invoke": 7.0, "judge": 0.2},
            total_ms=200.0 if decision is Decision.NONE else 11.7,
        )
        for name, value in more.items():
            object.__setattr__(inspection, name, value)
        self._next_id += 1
        self.shift[decision.name.lower()] += 1
        database = Database(self._data_dir / "records.db")
        database.add([inspection])
        database.close()
        self._last = (inspection, time.monotonic())
        return inspection

    def fall_silent_for(self, seconds: float) -> None:
        """As if the last part had gone by so long ago."""
        if self._last is not None:
            self._last = (self._last[0], self._last[1] - seconds)

    def status(self) -> dict[str, Any]:
        """What a real line says of itself."""
        counts = self.shift | {
            "total": sum(self.shift[name] for name in ("ok", "ng", "review", "none")),
            "since": time.time() - 3600,
        }
        document: dict[str, Any] = {
            "camera": self.name,
            "ready": True,
            "closed": None,
            "fault": "",
            "warning": 0,
            "job": 1,
            "job_name": "Colours",
            "model": "colours/1",
            "runtime": "toy",
            "threads": 1,
            "limits": LIMITS,
            "deadline_ms": 200,
            "source": {"state": "live", "reason": "", "since_s": 9.0, "age_ms": 20.0},
            "last": self._shot(),
            "shift": counts,
            "life": counts,
            "latency_ms": {"p50": 11.7, "p95": 12.0, "p99": 13.0, "max": 13.0, "count": 9},
            "records": {"failing": "", "waiting": 0, "lost": 0},
            "pictures": {"failing": "", "dropped": 0, "kept_bytes": 0},
        }
        return document | self.changes

    def _shot(self) -> dict[str, Any] | None:
        if self._last is None:
            return None
        inspection, at = self._last
        return {
            "id": inspection.id,
            "n": inspection.trigger,
            "part": inspection.part,
            "source": inspection.source,
            "job": inspection.job,
            "test": False,
            "verdict": str(inspection.decision),
            "code": int(inspection.code),
            "reason": inspection.reason,
            "label": inspection.label,
            "score": inspection.score,
            "ms": inspection.total_ms,
            "warning": 0,
            "age_s": time.monotonic() - at,
        }

    def answer(self, method: str, path: str, fields: dict[str, Any]) -> tuple[int, str, bytes]:
        """Answer the app."""
        if (method, path) == ("GET", "/live.jpg"):
            return (200, "image/jpeg", self.live) if self.live else (503, "text/plain", b"no frame")
        if (method, path) == ("GET", "/status"):
            return 200, "application/json", json.dumps(self.status()).encode()
        self.asked.append((method, path, fields))
        if path == "/trigger":
            self.part(Decision.OK, fields.get("part", ""))
            return 200, "application/json", json.dumps(self._shot()).encode()
        return 202, "application/json", b"{}"


def _handler(line: LineDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            status, kind, content = line.answer(
                self.command, self.path, json.loads(body) if body else {}
            )
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
