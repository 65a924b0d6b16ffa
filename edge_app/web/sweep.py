"""Sweeps out clients that take time or memory which others need."""

from __future__ import annotations

import logging
from typing import Any

from edge_app.web.channel import Channel

EVERY_S = 0.1
REQUEST_S = 30.0
"""A whole request must arrive within this; a byte a second keeps nobody here."""

UNREAD_S = 30.0
"""An answer of which nothing was taken for so long is given up, and its thread is free."""

CROWDED = 500
CROWDED_S = 2.0
"""With so many connections, whoever only waits or dawdles has to go after this."""

log = logging.getLogger(__name__)


class Sweep:
    """Looks over all connections, some times a second; called by the server's loop.

    Args:
        channels: The loop's sockets.
        max_bytes: What all unfinished requests may hold together.
    """

    def __init__(self, channels: dict[int, Any], max_bytes: int) -> None:
        self._entries = channels
        self._max_bytes = max_bytes
        self._next = 0.0
        self.swept = 0
        """Connections closed since the start."""

    def now(self, now: float) -> None:
        """Look, if it is time to.

        Args:
            now: Monotonic seconds.
        """
        if now < self._next:
            return
        self._next = now + EVERY_S
        channels = [entry for entry in self._entries.values() if isinstance(entry, Channel)]
        limit_s = CROWDED_S if len(channels) > CROWDED else REQUEST_S
        for channel in channels:
            slow = channel.waiting_s(now) > limit_s or channel.lingered_out(now)
            stuck = channel.stuck_s() > (UNREAD_S if channel.busy else limit_s)
            if slow or stuck:
                self._close(channel)
        self._bound_bytes(channels)

    def _bound_bytes(self, channels: list[Channel]) -> None:
        held = sum(channel.held_bytes for channel in channels)
        largest = sorted(channels, key=lambda channel: channel.held_bytes, reverse=True)
        for channel in largest:
            if held <= self._max_bytes:
                return
            if not channel.requests:
                held -= channel.held_bytes
                self._close(channel)

    def _close(self, channel: Channel) -> None:
        self.swept += 1
        channel.will_close = True
