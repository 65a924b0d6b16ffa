"""A small HTTP server for machines, on a TCP port or a Unix socket."""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

from camera.connection import Connection
from camera.request import Answer

MAX_CONNECTIONS = 64
REFUSED_KEPT = 16
NO_PLACE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 22\r\nConnection: close\r\n\r\ntoo many connections\r\n"
)

log = logging.getLogger(__name__)


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
        self._answer = answer
        self._name = name
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
            target=self.serve_forever, kwargs={"poll_interval": 0.2}, name=self._name, daemon=True
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
            connection = Connection(
                request, client_address, answer=self._answer, name=self._name, done=self._done_with
            )
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

    def _done_with(self, request: socket.socket) -> None:
        """Close a connection and give its place back."""
        try:
            self.shutdown_request(request)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """What escaped a connection's thread."""
        del request
        log.error("connection from %s failed: %r", client_address, sys.exc_info()[1])
