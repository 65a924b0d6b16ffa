"""waitress, tuned for pictures, and telling each request when its last byte came."""

from __future__ import annotations

import socket
import time
from typing import Any

import waitress.channel
import waitress.parser
import waitress.server
import waitress.task
from flask import Flask

from edge_app.config import AppSettings
from edge_app.web.request import ARRIVED_AT

RECEIVE_BYTES = 262_144
"""waitress reads 8 KiB at a time by default: 80 % more time for a 1 MB upload."""


class _StampedParser(waitress.parser.HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Notes the moment at which a request is complete, before it queues for a thread."""

    arrived_at = 0.0

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self.completed:
            self.arrived_at = time.monotonic()
        return consumed


class _StampedTask(waitress.task.WSGITask):  # type: ignore[misc]  # waitress has no types
    """Hands that moment on to the app."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[ARRIVED_AT] = self.request.arrived_at
        return environ


class _Channel(waitress.channel.HTTPChannel):  # type: ignore[misc]  # waitress has no types
    parser_class = _StampedParser
    task_class = _StampedTask


def make_server(app: Flask, settings: AppSettings, sockets: list[socket.socket]) -> Any:
    """A server on the settings' address, or on sockets that systemd opened.

    Raises:
        OSError: The port is taken.
    """
    where: dict[str, Any] = (
        {"sockets": sockets} if sockets else {"host": settings.host, "port": settings.port}
    )
    server = waitress.server.create_server(
        app,
        **where,
        threads=settings.threads,
        connection_limit=200,
        channel_timeout=30,
        cleanup_interval=5,
        recv_bytes=RECEIVE_BYTES,
        inbuf_overflow=settings.max_body_mb * 1_048_576,
        max_request_body_size=settings.max_body_mb * 1_000_000 + 65_536,
        ident="",
        clear_untrusted_proxy_headers=True,
    )
    for each in getattr(server, "map", {}).values():
        if hasattr(each, "channel_class"):
            each.channel_class = _Channel
    server.channel_class = _Channel
    return server
