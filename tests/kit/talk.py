"""Talking to a server over a real socket, as any client does."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

from edge_app.web.server import Server

PATIENCE_S = 10
"""So long a client waits: far longer than any server may take, however slow the machine."""


def connect(server: Server) -> socket.socket:
    """A raw connection."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)


def reply_to(
    server: Server, method: str = "GET", path: str = "/health", **kwargs: Any
) -> tuple[int, dict[str, str], Any]:
    """One request on a connection of its own; status, headers and document."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, **kwargs)
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), json.loads(reply.read())
    finally:
        connection.close()


def ask(server: Server, method: str = "GET", path: str = "/health", **kwargs: Any) -> Any:
    """The same; status and document."""
    status, _, document = reply_to(server, method, path, **kwargs)
    return status, document


def received(connection: socket.socket) -> bytes:
    """All bytes until the server closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)
