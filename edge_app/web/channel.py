"""One connection: tells when a request's last byte came, and refuses in the app's own words."""

from __future__ import annotations

import functools
import io
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import waitress.channel
import waitress.parser
import waitress.task

from edge_app.door import Busy
from edge_app.web.refusal import refusal
from edge_app.web.request import ARRIVED_AT
from edge_app.web.request_id import HEADER, id_from
from edge_app.web.socket_calls import Receiver, send

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


class _Nowhere:
    """Takes a body that nobody wants; it is counted and let go.

    Args:
        size: Its bytes; None where only its end would tell.
    """

    error = None

    def __init__(self, size: int | None) -> None:
        self._left = size

    @property
    def left(self) -> int:
        """Bytes that are still to come, as far as that is known."""
        return self._left or 0

    @property
    def completed(self) -> bool:
        """Whether all of it has come."""
        return self._left == 0

    def received(self, data: bytes) -> int:
        """Count a piece; returns how much of it belonged to the body."""
        if self._left is None:
            return len(data)
        taken = min(len(data), self._left)
        self._left -= taken
        return taken

    def dropped(self, size: int) -> None:
        """Count bytes that nobody has seen."""
        self._left = (self._left or 0) - size

    def getbuf(self) -> io.BytesIO:
        """Nothing, for whoever closes it."""
        return io.BytesIO()


class _Parser(waitress.parser.HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Notes when a request began, and when it was complete, before it queues for a thread.

    Args:
        adjustments: waitress's settings.
        look: Told of a request when its headers are there, and again when all of it is.
        came_at: Tells when what is being received may have come.
    """

    def __init__(
        self,
        adjustments: Any,
        look: Callable[[_Parser], None] = lambda _: None,
        came_at: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(adjustments)
        self._came_at = came_at
        self.began_at = time.monotonic()
        self.arrived_at = 0.0
        self.refused = False
        self._look = look

    @property
    def held_bytes(self) -> int:
        """Bytes of its body in memory."""
        return 0 if self.refused else int(self.body_bytes_received)

    @property
    def unwanted_bytes(self) -> int:
        """Bytes of a refused body that are still to come."""
        return self.body_rcv.left if isinstance(self.body_rcv, _Nowhere) else 0

    def dropped(self, size: int) -> None:
        """So many of them came and are gone."""
        self.body_rcv.dropped(size)
        self.completed: bool = self.body_rcv.completed

    def received(self, data: bytes) -> int:
        headers_were_there = self.headers_finished
        consumed: int = super().received(data)
        if self.completed:
            self.arrived_at = self._came_at()
        news = self.completed or self.headers_finished != headers_were_there
        if news and not self.refused and self.error is None and not self.empty:
            self._look(self)
        if self.refused:
            # For waitress that is no request at all: none of it is handed on.
            self.empty: bool = True
            self.error: Any = None
        return consumed

    def refuse(self, *, rest_is_known: bool) -> None:
        """Let go of what came of the body, and of what will come."""
        self.refused = True
        self.expect_continue = False
        self.close()
        if not self.completed:
            self.body_rcv = _Nowhere(self.content_length if rest_is_known else None)


class _Task(waitress.task.WSGITask):  # type: ignore[misc]  # waitress has no types
    """Hands that moment on to the app."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[ARRIVED_AT] = self.request.arrived_at
        return environ

    def write(self, data: bytes) -> None:
        """Head and body leave together: whoever waits for them is woken once."""
        if data and not self.wrote_header and self.has_body and self.content_length:
            self.channel.head = self.build_response_header()
            self.wrote_header: bool = True
        super().write(data)


class _ErrorTask(waitress.task.ErrorTask):  # type: ignore[misc]  # waitress has no types
    """What is no request at all is refused in the one error shape, too."""

    def execute(self) -> None:
        error = self.request.error
        given = self.request.headers.get("X_REQUEST_ID", "")
        self.response_headers.append((HEADER, id_from(given)))
        code = CODES.get(error.code, "internal")
        document = {"error": {"code": code, "message": str(error.body)}}
        body = json.dumps(document).encode() + b"\n"
        self.status = f"{error.code} {error.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.channel.lingers = True
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(waitress.channel.HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection of a server, which completes this class with what all its connections share.

    `admit` tells why a request is refused of which no more than its headers is known, `receiver`
    is the one of the thread that reads, `came_at` tells when what it reads may have come.
    """

    parser_class: Any = _Parser
    task_class = _Task
    error_task_class = _ErrorTask
    admit: Callable[[Any], Busy | None]
    receiver: Receiver
    came_at: Callable[[], float]
    lingers = False
    head = b""
    """An answer's, which goes out in front of what is written next."""
    _linger_until = 0.0

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.parser_class = functools.partial(_Parser, look=self._look, came_at=self.came_at)

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""
        return bool(self.requests or self.total_outbufs_len or self.close_when_flushed)

    @property
    def held_bytes(self) -> int:
        """Bytes of request bodies in memory."""
        requests = [*self.requests, self.request]
        return sum(request.held_bytes for request in requests if request is not None)

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

    def recv(self, buffer_size: int) -> bytes:
        """What has arrived; closes at the end."""
        del buffer_size
        try:
            content = self.receiver.receive(self.socket.fileno())
        except ConnectionError:
            content = b""
        if not content:
            self.handle_close()
        return content

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the system takes at once; closes if the client is gone."""
        try:
            return send(self.socket.fileno(), data)
        except BlockingIOError:
            return 0
        except ConnectionError:
            if do_close:
                self.handle_close()
            return 0

    def write_soon(self, data: Any) -> int:
        """Send it, with a head that waits before it."""
        if self.head:
            data, self.head = self.head + data, b""
        return int(super().write_soon(data))

    def handle_read(self) -> None:
        """Receive; what comes after a refusal is thrown away."""
        if self._linger_until == 0:
            if self.request is None or not self.request.unwanted_bytes:
                super().handle_read()
            if self.connected and self.request is not None and self.request.unwanted_bytes:
                self._drop(self.request)
            return
        try:
            ended = not self.recv(self.adj.recv_bytes)
        except OSError:
            ended = True
        if ended:
            self.handle_close()

    def _drop(self, request: _Parser) -> None:
        """Throw away what has come of a refused body; behind it the next request may begin."""
        try:
            size = self.receiver.drop(self.socket.fileno(), request.unwanted_bytes)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self.handle_close()
            return
        self.last_activity = time.time()
        request.dropped(size)
        if request.completed:
            with self.requests_lock:
                self.request: Any = None

    def handle_close(self) -> None:
        """Close; the parsers' way back to here would keep this in memory.

        What came of a body goes at once: the collector does not know how large it is.
        """
        super().handle_close()
        if self.request is not None:
            self.request.close()
        self.parser_class = _Parser

    def _look(self, request: _Parser) -> None:
        """Refuse a request that comes too much, on the thread that reads it and at once.

        The connection goes on wherever the rest of the body can be counted off.
        """
        if self.requests or (busy := self.admit(request)) is None:
            return  # behind another request, answers must keep their order
        plain = request.version == "1.1" and not request.connection_close
        goes_on = plain and not (request.chunked or request.expect_continue)
        request.refuse(rest_is_known=goes_on)
        given_id = request.headers.get("X_REQUEST_ID", "")
        answer = refusal(request.path, busy, given_id=given_id, goes_on=goes_on)
        with self.outbuf_lock:
            self.outbufs[-1].append(answer)
            self.current_outbuf_count += len(answer)
            self.total_outbufs_len += len(answer)
            self._flush_exception(self._flush_some)
        if not goes_on:
            self.lingers = self.close_when_flushed = True
