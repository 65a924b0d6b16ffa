"""The Unix socket on which the app asks the line: status, live picture, trigger, jobs.

Plain HTTP, so that a technician can ask too: `curl --unix-socket cam1.sock http://line/status`.
Who may ask is what the socket file's permissions say.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from typing import Any

from camera.frame import Frame
from camera.line import Line
from camera.plc.http import line_status
from camera.request import Reply, Request
from camera.shot import MAX_PART_CHARS, MAX_REQUEST_ID_CHARS, Refused, Shot
from edge_app.inference.decode import BadImage
from edge_app.jobs import MAX_NUMBER as MAX_JOB
from edge_app.records.archive import encode_jpeg

LIVE_QUALITY = 75


class Control:
    """Answers the app.

    Args:
        line: The line it speaks for.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._started_at = time.monotonic()
        self._encoding = threading.Lock()
        self._shown: tuple[Frame | None, bytes] = (None, b"")

    def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        calls = {
            ("GET", "/status"): self._status,
            ("GET", "/live.jpg"): self._live,
            ("POST", "/trigger"): self._trigger,
            ("POST", "/job"): self._job,
            ("POST", "/reload"): self._reload,
            ("POST", "/reset"): self._reset,
        }
        call = calls.get((request.method, request.path))
        if call is None:
            return _error(404, "not_found", f"no {request.method} {request.path} here")
        if request.fault:
            return _error(400, "bad_request", request.fault)
        return call(request)

    def _status(self, request: Request) -> Reply:
        del request
        return _json(self.status())

    def status(self) -> dict[str, Any]:
        """Everything that is live of the line."""
        line, station = self._line, self._line.station
        last = station.last_answered()
        shift, life = station.counters()
        closed = station.closed
        loaded = line.loaded
        return {
            "camera": line.name,
            "uptime_s": round(time.monotonic() - self._started_at, 1),
            "ready": station.ready,
            "closed": {"code": int(closed[0]), "reason": closed[1]} if closed else None,
            "status_word": int(line_status(line)),
            "beat": line.beat,
            "fault": line.fault,
            "warning": int(line.warning),
            "preloaded": line.loader.preloaded,
            "job_crc": loaded.crc if loaded else 0,
            "job": station.job,
            "job_name": loaded.job.name if loaded else "",
            "model": loaded.model if loaded else "",
            "runtime": loaded.engine.runtime if loaded else "",
            "threads": loaded.engine.threads if loaded else 0,
            "limits": loaded.limits.to_json() if loaded else None,
            "deadline_ms": station.deadline_ms,
            "realtime": not line.urgency.refused,
            "realtime_refused": line.urgency.refused,
            "source": dataclasses.asdict(line.capture.state()),
            "last": _shot(last) if last else None,
            "shift": _counts(shift),
            "life": _counts(life),
            "latency_ms": line.latency.percentiles(),
            "records": {
                "failing": line.recorder.failing,
                "waiting": line.recorder.waiting,
                "lost": line.recorder.lost,
            },
            "pictures": {
                "failing": line.archive.failing,
                "limited": line.archive.limited,
                "dropped": line.archive.dropped,
                "kept_bytes": line.archive.kept_bytes,
            },
            "written": line.written(),
        }

    def _live(self, request: Request) -> Reply:
        del request
        frame = self._line.capture.newest()
        if frame is None:
            reason = self._line.capture.state().reason or "no frame yet"
            return _error(503, "no_picture", reason)
        with self._encoding:
            # Twenty people who look at once cost one encoding of each frame.
            if self._shown[0] is not frame:
                try:
                    picture = encode_jpeg(self._line.eye.upright(frame.pixels()), LIVE_QUALITY)
                except (BadImage, ValueError) as error:
                    return _error(503, "no_picture", str(error))
                self._shown = frame, picture
            return Reply(self._shown[1], kind="image/jpeg")

    def _trigger(self, request: Request) -> Reply:
        part = request.params.get("part", "")
        if len(part) > MAX_PART_CHARS or not part.isascii() or not part.isprintable():
            return _error(400, "bad_part", f"expected at most {MAX_PART_CHARS} ASCII characters")
        try:
            shot = self._line.station.fire(
                "page",
                part=part,
                test=request.params.get("test") == "1",
                request_id=request.params.get("request_id", "")[:MAX_REQUEST_ID_CHARS],
                arrived_at=request.arrived_at,
            )
        except Refused as refusal:
            return _json({"code": int(refusal.code), "reason": str(refusal)}, status=409)
        self._line.station.wait(shot, shot.deadline.ends_at)
        # A person looks at the record next.
        self._line.recorder.hurry()
        return _json(_shot(shot))

    def _job(self, request: Request) -> Reply:
        number = request.params.get("number", "")
        if not number.isdecimal() or not 1 <= int(number) <= MAX_JOB:
            return _error(400, "bad_job", f"expected a job number from 1 to {MAX_JOB}")
        self._line.load_job(int(number))
        return _json({"loading": int(number)}, status=202)

    def _reload(self, request: Request) -> Reply:
        """Take up a newly activated model or changed limits, inspecting all the while."""
        del request
        self._line.load_job(self._line.station.job, keep_ready=self._line.loaded is not None)
        self._line.loader.refresh()
        return _json({"loading": self._line.station.job}, status=202)

    def _reset(self, request: Request) -> Reply:
        closing = self._line.reset_shift(request.params.get("who", "page"))
        return _json({"closed": _counts(closing)})


def _shot(shot: Shot) -> dict[str, Any]:
    answer = shot.answer
    return {
        "id": shot.id,
        "n": shot.n,
        "part": shot.part,
        "source": shot.source,
        "job": shot.job,
        "test": shot.test,
        "verdict": str(answer.verdict.decision) if answer else None,
        "code": int(answer.verdict.code) if answer else None,
        "reason": answer.verdict.reason if answer else "",
        "label": answer.label if answer else "",
        "score": round(answer.score, 5) if answer else 0.0,
        "ms": round(answer.ms, 3) if answer else None,
        "warning": int(answer.warning) if answer else 0,
        "age_s": round(time.monotonic() - shot.deadline.started_at, 3),
    }


def _counts(counters: Any) -> dict[str, Any]:
    return dataclasses.asdict(counters) | {"total": counters.total}


def _json(document: dict[str, Any], status: int = 200) -> Reply:
    return Reply(json.dumps(document).encode(), kind="application/json", status=status)


def _error(status: int, code: str, message: str) -> Reply:
    return _json({"error": {"code": code, "message": message}}, status=status)
