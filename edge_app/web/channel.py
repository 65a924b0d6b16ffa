"""One connection: tells when a request's last byte came, and refuses in the app's own words."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import waitress.channel
import waitress.parser
import waitress.task

from edge_app.web.lanes import Overload
from edge_app.web.request import ARRIVED_AT
from edge_app.web.request_id import HEADER, id_from

CODES = {
    400: "bad_request",
    413: "body_too_large",
    431: "headers_too_large",
    501: "not_implemented",
}
"""What the server itself refuses, before the app sees it."""

LINGER_S = 2.0
"""So long a client may go on sending after it was refused: closed at once, the connection
would be reset, and the reset throws the refusal away before the client has read it."""


class _Parser(waitress.parser.HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Notes when a request began, and when it was complete, before it queues for a thread."""

    def __init__(self, adjustments: Any) -> None:
        super().__init__(adjustments)
        self.began_at = time.monotonic()
        self.arrived_at = 0.0

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.completed:
            self.arrived_at = time.monotonic()
        return consumed


class _Task(waitress.task.WSGITask):  # type: ignore[misc]  # waitress has no types
    """Hands that moment on to the app."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[ARRIVED_AT] = self.request.arrived_at
        return environ


class _ErrorTask(waitress.task.ErrorTask):  # type: ignore[misc]  # waitress has no types
    """What is no request at all is refused in the one error shape, too."""

    def execute(self) -> None:
        error = self.request.error
        given = self.request.headers.get("X_REQUEST_ID", "")
        self.response_headers.append((HEADER, id_from(given)))
        if isinstance(error, Overload):
            self._refuse(error)
            return
        code = CODES.get(error.code, "internal")
        document = {"error": {"code": code, "message": str(error.body)}}
        body = json.dumps(document).encode() + b"\n"
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.channel.lingers = True
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)

    def _refuse(self, error: Overload) -> None:
        """A whole request that comes too much; the connection may go on."""
        retry = {"retry_after_ms": error.retry_after_ms}
        document = {"error": {"code": "queue", "message": error.body} | retry}
        body = json.dumps(document).encode() + b"\n"
        self.status = f"{error.code} {error.reason}"
        headers = [("Content-Type", "application/json"), ("Retry-After", "1")]
        self.response_headers.extend(headers)
        self.content_length = len(body)
        self.write(body)


class Channel(waitress.channel.HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection of this server."""

    parser_class = _Parser
    task_class = _Task
    error_task_class = _ErrorTask
    lingers = False
    _linger_until = 0.0

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""
        return bool(self.requests or self.total_outbufs_len)

    @property
    def held_bytes(self) -> int:
        """Bytes of request bodies in memory."""
        requests = [*self.requests, self.request]
        return sum(request.body_bytes_received for request in requests if request is not None)

    def waiting_s(self, now: float) -> float:
        """Seconds for which the client has been sending its request; 0 between requests."""
        request = self.request
        return now - request.began_at if request is not None else 0.0

    def stuck_s(self) -> float:
        """Seconds in which the connection moved nothing, although it had something to move."""
        if self.requests and not self.total_outbufs_len:
            return 0.0  # the app is thinking
        return float(time.time() - self.last_activity)

    def lingered_out(self, now: float) -> bool:
        """Whether a refused client has had its time."""
        return 0 < self._linger_until < now

    def readable(self) -> bool:
        """Also while a refused client still sends."""
        return self._linger_until > 0 or bool(super().readable())

    def writable(self) -> bool:
        """Not once the refusal is out: only the client's end is waited for."""
        return (self._linger_until == 0 or self.will_close) and bool(super().writable())

    def handle_write(self) -> None:
        """Send; after a refusal, close only this side's half."""
        if self.lingers and self.close_when_flushed and not self.total_outbufs_len:
            self.close_when_flushed: bool = False
            self._linger_until = time.monotonic() + LINGER_S
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:  # the client is gone already
                self.will_close = True
            return
        super().handle_write()

    def handle_read(self) -> None:
        """Receive; what comes after a refusal is thrown away."""
        if self._linger_until == 0:
            super().handle_read()
            return
        try:
            ended = not self.recv(self.adj.recv_bytes)
        except OSError:
            ended = True
        if ended:
            self.handle_close()
