"""One client of a small HTTP server: request after request, each reply in one piece.

PLC blocks often take what the first receive gives them for the whole reply, speak
HTTP/1.0, forget the Host header, end lines with LF alone, end a request with a NUL, and
send it byte by byte. General servers refuse or hang on some of that; this one takes all of it
and nothing that lasts for ever.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from camera.head import BadRequest, Head, read_head
from camera.request import Answer, Reply, Request, read_fields

MAX_BODY_BYTES = 4096
REQUEST_S = 10.0
"""From a request's first wait to its last byte; also how long an idle connection is kept."""

LOOK_S = 1
"""How often a read that waits looks at the clock."""

LINGER_S = 0.2
LINGER_READS = 64
"""How long, and for how many reads, a connection that is done with is listened to."""

METHODS = "GET", "POST", "HEAD"
PHRASES = {status.value: status.phrase for status in HTTPStatus}
CLOSE = "Connection: close\r\n"

log = logging.getLogger(__name__)


class _Patient(io.RawIOBase):
    """A socket's bytes, until a moment on the monotonic clock.

    The timeout is the kernel's: with Python's own each call would be two.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", LOOK_S, 0))
        self._connection = connection
        self.until = time.monotonic() + REQUEST_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while time.monotonic() < self.until:
            try:
                return self._connection.recv_into(buffer)
            except BlockingIOError:
                continue
        raise TimeoutError("the request took too long")


class _Exchange:
    """One request's reply: given once, by whichever thread comes first."""

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._head = head
        self._lock = threading.Lock()
        self._replied = False

    def reply(self, reply: Reply) -> bool | None:
        """Send it; whether another request may follow. None if there was a reply already."""
        return self._send(reply) if self._claim() else None

    def early(self, reply: Reply) -> bool:
        """Send it in the place of the thread that is at work, which has no connection any more.

        In a new thread: a client that takes no reply must not hold the one that calls.
        """
        if not self._claim():
            return False
        try:
            self._connection.go_on(lambda: self._send(reply))
        except RuntimeError:
            # No thread to be had: to a PLC a closed connection is no answer, and so a reject.
            self._connection.finish()
            raise
        return True

    def _claim(self) -> bool:
        with self._lock:
            claimed, self._replied = not self._replied, True
        return claimed

    def _send(self, reply: Reply) -> bool:
        head = self._head
        self._connection.send(reply, keeps=head.keeps, empty=head.method == "HEAD")
        return head.keeps


class Connection:
    """What one client asks, one request after the other.

    Args:
        client: The socket.
        address: The peer's; empty on a Unix socket.
        answer: Answers requests.
        name: For the threads.
        done: Takes the socket back when no more comes.
    """

    def __init__(
        self,
        client: socket.socket,
        address: Any,
        *,
        answer: Answer,
        name: str,
        done: Callable[[socket.socket], None],
    ) -> None:
        self._answer = answer
        self._name = name
        self._done = done
        self._client = client
        self._address = ""
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._address = str(address[0])
        self._patient = _Patient(client)
        self._received = io.BufferedReader(self._patient)

    def go_on(self, first: Callable[[], bool] | None = None) -> None:
        """Serve it in a thread of its own: request after request, something else first."""
        step = first or self._serve_one
        threading.Thread(target=self._run, args=(step,), name=self._name, daemon=True).start()

    def _run(self, step: Callable[[], bool | None]) -> None:
        try:
            while more := step():
                step = self._serve_one
            if more is None:
                return
        except (TimeoutError, ConnectionError, BrokenPipeError):
            log.debug("a client went away in mid-request")
        # The edge: whatever it was, it ends this connection and no other.
        except Exception:
            log.exception("connection from %s failed", self._address)
        self.finish()

    def finish(self) -> None:
        """Say that no more comes, and take what the client still sends.

        Closing a socket with unread bytes in it resets the connection, and a reset takes
        the reply with it that the client has not read yet.
        """
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
            self._client.settimeout(LINGER_S)
            self._patient.until = time.monotonic() + LINGER_S
            for _ in range(LINGER_READS):
                if not self._received.read1(65_536):
                    break
        self._received.close()
        self._done(self._client)

    def _serve_one(self) -> bool | None:
        """Answer one request; whether another may follow. None: another thread goes on."""
        self._patient.until = time.monotonic() + REQUEST_S
        try:
            head = read_head(self._received)
            if head is None:
                return False
            exchange = _Exchange(self, head)
            request = self._request(head, exchange.early)
        except BadRequest as error:
            text = f"{error}\r\n".encode("ascii", "replace")
            self.send(Reply(text, status=error.status), keeps=False)
            return False
        return exchange.reply(self._reply(request))

    def _reply(self, request: Request) -> Reply:
        try:
            return self._answer(request)
        # The loop's edge: one client's request must not end the listener.
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return Reply(b"internal error\r\n", status=500)

    def _request(self, head: Head, early: Callable[[Reply], bool]) -> Request:
        if head.method not in METHODS:
            raise BadRequest(f"expected {', '.join(METHODS)}", HTTPStatus.NOT_IMPLEMENTED)
        body = self._body(head.headers)
        path, _, query = head.target.partition("?")
        try:
            fields, fault = read_fields(query, body), ""
        except ValueError as error:
            fields, fault = {}, str(error)
        return Request(
            method=head.method,
            path=path,
            params=fields,
            headers=head.headers,
            client=self._address,
            arrived_at=time.monotonic(),
            fault=fault,
            early=early,
        )

    def _body(self, headers: Mapping[str, str]) -> bytes:
        if "content-length" not in headers and "transfer-encoding" not in headers:
            return b""
        if headers.get("transfer-encoding", "identity").lower() != "identity":
            raise BadRequest("expected a body with Content-Length, got a chunked one")
        given = headers.get("content-length", "0")
        length, *others = (text.strip() for text in given.split(","))
        if any(other != length for other in others):
            raise BadRequest("expected one Content-Length")
        # Its digits are counted first: Python refuses to read thousands of them.
        if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY_BYTES:
            raise BadRequest(f"expected a Content-Length of at most {MAX_BODY_BYTES}")
        body = self._received.read(int(length)) if length != "0" else b""
        if len(body) < int(length):
            raise ConnectionError("the body was cut short")
        return body

    def send(self, reply: Reply, *, keeps: bool, empty: bool = False) -> None:
        """Send a reply in one piece."""
        head = (
            f"HTTP/1.1 {reply.status} {PHRASES[reply.status]}\r\n"
            f"Content-Type: {reply.kind}\r\n"
            f"Content-Length: {len(reply.body)}\r\n"
            f"Cache-Control: no-store\r\n{'' if keeps else CLOSE}\r\n"
        )
        self._push(head.encode("ascii") + (b"" if empty else reply.body))

    def _push(self, content: bytes) -> None:
        # A reply finds room but for a picture to a client that does not read: to ask first, as
        # `sendall` with a timeout does, would be a second call for each.
        try:
            sent = self._client.send(content, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(content):
            self._client.settimeout(REQUEST_S)
            self._client.sendall(content[sent:])
            self._client.settimeout(None)
