"""waitress, tuned for pictures: one loop for all sockets, threads for the requests.

The loop is ours, so that it can prove that it turns, sweep out slow clients and stop
without cutting off an answer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from typing import Any

import waitress.server
import waitress.wasyncore
from flask import Flask

from edge_app.config import AppSettings
from edge_app.door import Door
from edge_app.web.channel import Channel
from edge_app.web.lanes import Lanes
from edge_app.web.loop import Loop
from edge_app.web.socket_calls import Receiver
from edge_app.web.sweep import Sweep

RECEIVE_BYTES = 262_144
"""waitress reads 8 KiB at a time by default: 80 % more time for a 1 MB upload."""

CONNECTIONS = 800
"""Below the 1024 files that a process may have open by default."""

LOOP_NICENESS = 0
"""Of the loop's thread; the app as a whole stands back at 5, and the crew behind that. Refusing
must not wait for those who answer: at four times capacity that took 26 ms at p99, and 12 ms with a
loop ten steps before them."""

IDLE_S = 30
TURN_S = 0.25

log = logging.getLogger(__name__)


def _behind(proxy: str) -> dict[str, Any]:
    """Whose word is taken for the client's address and for the scheme."""
    if not proxy:
        return {}
    headers = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}
    return {"trusted_proxy": proxy, "trusted_proxy_headers": headers}


class Server:
    """Serves a WSGI app on the settings' address, or on sockets that systemd opened.

    Args:
        app: What to serve.
        settings: Address, threads and limits.
        sockets: Listening sockets from systemd; none to open one.
        door: Admission, asked while an upload is read; none to let all of them in.

    Raises:
        OSError: The port is taken.
    """

    def __init__(
        self,
        app: Flask,
        settings: AppSettings,
        sockets: list[socket.socket],
        door: Door | None = None,
    ) -> None:
        max_body_bytes = settings.max_body_mb * 1_000_000
        self._map: dict[int, Any] = {}
        self._loop = Loop(self._map)
        self._lanes = Lanes(
            settings.threads,
            door or Door(settings.threads),
            settings.deadline_ms,
            settings.deadline_max_ms,
        )
        try:
            self._listen(app, settings, sockets)
        except OSError:
            self._lanes.shutdown(timeout=0.1)
            self._loop.close()
            waitress.wasyncore.close_all(self._map, ignore_all=True)
            raise
        shared = {
            "admit": staticmethod(self._lanes.admit),
            "receiver": Receiver(RECEIVE_BYTES),
            "came_at": staticmethod(lambda: self._loop.came_at),
        }
        channel = type("ServedChannel", (Channel,), shared)
        for listener in self._listeners():
            listener.channel_class = channel
        self._sweep = Sweep(self._map, max_bytes=max(64_000_000, 4 * max_body_bytes))
        self._stopping = False
        self._turned_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._listeners()[0].effective_port)

    @property
    def turned_s(self) -> float:
        """Seconds since the loop last turned: more than a few mean that nobody is served."""
        return time.monotonic() - self._turned_at

    @property
    def waiting(self) -> int:
        """Requests that have arrived and wait for a thread."""
        return self._lanes.waiting

    @property
    def alive(self) -> bool:
        """Whether the loop runs at all."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """Take no more connections, let the answers under way out, close."""
        if self._stopping:
            return
        ends_at = time.monotonic() + within_s
        for listener in self._listeners():
            listener.accepting = False
        while time.monotonic() < ends_at and any(channel.busy for channel in self._channels()):
            time.sleep(0.01)
        self._stopping = True
        self._lanes.shutdown(timeout=max(0.1, ends_at - time.monotonic()))
        self._listeners()[0].pull_trigger()
        self._thread.join(2 * TURN_S)
        waitress.wasyncore.close_all(self._map, ignore_all=True)
        self._loop.close()

    def _listen(self, app: Flask, settings: AppSettings, sockets: list[socket.socket]) -> None:
        where: dict[str, Any] = (
            {"sockets": sockets} if sockets else {"host": settings.host, "port": settings.port}
        )
        max_body_bytes = settings.max_body_mb * 1_000_000
        waitress.server.create_server(
            app,
            map=self._map,
            _dispatcher=self._lanes,
            **where,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_S,
            cleanup_interval=5,
            recv_bytes=RECEIVE_BYTES,
            # Never to a temporary file: the sweep bounds what all clients hold together.
            inbuf_overflow=max_body_bytes + 1_048_576,
            # What is a little too large is refused by the app, which knows how to say it.
            max_request_body_size=max_body_bytes + 65_536,
            ident="",
            clear_untrusted_proxy_headers=True,
            **_behind(settings.trusted_proxy),
            asyncore_use_poll=True,
        )

    def _run(self) -> None:
        _go_first()
        while not self._stopping:
            self._loop.turn(self._turned_at, TURN_S)
            self._turned_at = time.monotonic()
            self._sweep.now(self._turned_at)

    def _listeners(self) -> list[Any]:
        entries = list(self._map.values())
        return [e for e in entries if isinstance(e, waitress.server.BaseWSGIServer)]

    def _channels(self) -> list[Channel]:
        return [entry for entry in list(self._map.values()) if isinstance(entry, Channel)]


def _go_first() -> None:
    """Put this thread before its process's others, where the system allows it."""
    thread = threading.get_native_id()
    if os.getpriority(os.PRIO_PROCESS, thread) > LOOP_NICENESS:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, thread, LOOP_NICENESS)
