"""A small HTTP server for machines: each reply leaves in one piece.

PLC blocks often take what the first receive gives them for the whole reply, speak
HTTP/1.0, forget the Host header, end lines with LF alone, end a request with a NUL, and
send it byte by byte. General servers refuse or hang on some of that; this one takes all of it
and nothing that lasts for ever.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import socket
import socketserver
import sys
import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from camera.head import BadRequest, Head, read_head

MAX_CONNECTIONS = 64
MAX_BODY_BYTES = 4096
REQUEST_S = 10.0
"""From a request's first wait to its last byte; also how long an idle connection is kept."""

LINGER_S = 0.2
LINGER_READS = 64
"""How long, and for how many reads, a connection that is done with is listened to."""

METHODS = "GET", "POST", "HEAD"
PHRASES = {status.value: status.phrase for status in HTTPStatus}
CLOSE = "Connection: close\r\n"

REFUSED_KEPT = 16
NO_PLACE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 22\r\nConnection: close\r\n\r\ntoo many connections\r\n"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What came.

    Args:
        method: `GET` or `POST`.
        path: Without the query.
        params: Query, form or JSON fields; each at most once.
        headers: By lower-case name.
        client: The peer's address; empty on a Unix socket.
        arrived_at: Monotonic seconds at which the last byte had come.
        fault: Why the fields can't be read; empty when they can. Then `params` is empty.
        early: Sends a reply at once, from any thread, while the one that got the request is still
            at work; the connection goes on without it. False if there was a reply already.
    """

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    client: str
    arrived_at: float
    fault: str = ""
    early: Callable[[Reply], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Args:
        body: The whole body.
        kind: Its content type.
        status: The HTTP status.
    """

    body: bytes
    kind: str = "text/plain"
    status: int = 200


Answer = Callable[[Request], Reply]


class _Patient(io.RawIOBase):
    """A socket's bytes, until a moment on the monotonic clock."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.until = time.monotonic() + REQUEST_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


class _Exchange:
    """One request's reply: given once, by whichever thread comes first."""

    def __init__(self, connection: _Connection, head: Head) -> None:
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


class _Connection:
    """What one client asks, one request after the other.

    Args:
        server: Whose it is.
        client: The socket.
        address: The peer's; empty on a Unix socket.
    """

    def __init__(self, server: WireServer, client: socket.socket, address: Any) -> None:
        self._server = server
        self._client = client
        self._address = address[0] if address and isinstance(address[0], str) else ""
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self._address = ""
        self._patient = _Patient(client)
        self._received = io.BufferedReader(self._patient)

    def go_on(self, first: Callable[[], bool] | None = None) -> None:
        """Serve it in a thread of its own: request after request, something else first."""
        step = first or self._serve_one
        threading.Thread(
            target=self._run, args=(step,), name=self._server.name, daemon=True
        ).start()

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
            self._patient.until = time.monotonic() + LINGER_S
            for _ in range(LINGER_READS):
                if not self._received.read1(65_536):
                    break
        self._received.close()
        self._server.done_with(self._client)

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
            return self._server.answer(request)
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
            fields, fault = _fields(query), ""
            if body.strip(b"\0\r\n "):
                fields = _once([*fields.items(), *_body_fields(body).items()])
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
        self._client.settimeout(REQUEST_S)
        self._client.sendall(head.encode("ascii") + (b"" if empty else reply.body))


def _fields(query: str) -> dict[str, str]:
    try:
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise ValueError("expected at most 20 fields") from error
    return _once(pairs)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Fields by name; of two with one name nobody could say which is meant."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice")
    return fields


def _body_fields(body: bytes) -> dict[str, str]:
    """Fields of a JSON object or a form, whatever content type the client believes it sends."""
    try:
        text = body.rstrip(b"\0").decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError("expected a form or JSON body in UTF-8") from error
    if not text.startswith("{"):
        return _fields(text)
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError("the JSON body is not valid") from error
    return {name: _text(value) for name, value in document.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("expected whole numbers and texts in the JSON body")  # noqa: TRY004 - the client's mistake
    return str(value)


class WireServer(socketserver.TCPServer):
    """Serves one `Answer` on a TCP port or a Unix socket, a thread for each connection.

    Args:
        address: `(host, port)`, or the path of a Unix socket.
        answer: Answers requests; called in the connection's thread.
        name: For the threads.

    Raises:
        OSError: The port is taken, or the address is none of this machine's.
    """

    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int] | Path, answer: Answer, name: str) -> None:
        self.answer = answer
        self.name = name
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._refused: deque[Any] = deque()
        self._serving = False
        self._path = address if isinstance(address, Path) else None
        if isinstance(address, Path):
            self.address_family = socket.AF_UNIX
            # Left behind by a process that was killed; the socket of a living one would
            # answer, and the camera's lock has made sure that there is none.
            address.unlink(missing_ok=True)
        elif ":" in address[0]:
            self.address_family = socket.AF_INET6
        bind: Any = str(address) if isinstance(address, Path) else address
        super().__init__(bind, socketserver.BaseRequestHandler)

    def start(self) -> None:
        """Serve in a thread."""
        self._serving = True
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.2}, name=self.name, daemon=True
        ).start()

    def stop(self) -> None:
        """Close the port, served or not."""
        if self._serving:
            self._serving = False
            self.shutdown()
        self.server_close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for the connection while there is a place."""
        if self._places.acquire(blocking=False):
            connection = _Connection(self, request, client_address)
            try:
                connection.go_on()
            except RuntimeError:
                connection.finish()
                raise
            return
        with contextlib.suppress(OSError):
            request.setblocking(False)
            request.send(NO_PLACE)
            request.shutdown(socket.SHUT_WR)
        # Closed at once, what the client is still sending would reset the connection, and
        # the refusal with it; this thread has no time to wait.
        self._refused.append(request)
        if len(self._refused) > REFUSED_KEPT:
            self._refused.popleft().close()

    def server_close(self) -> None:
        """Close the port and what was refused."""
        super().server_close()
        while self._refused:
            self._refused.popleft().close()

    def done_with(self, request: socket.socket) -> None:
        """Close a connection and give its place back."""
        try:
            self.shutdown_request(request)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """What escaped a connection's thread."""
        del request
        log.error("connection from %s failed: %r", client_address, sys.exc_info()[1])
