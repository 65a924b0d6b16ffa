"""The server's loop over its sockets: a turn costs what happened, not how many there are.

waitress's own asks every connection at every turn what it waits for; with two hundred of them
that takes longer than refusing an upload.
"""

from __future__ import annotations

import select
import time
from typing import Any

import waitress.wasyncore

from edge_app.web.socket_calls import Watcher

RENEW_S = 0.1
"""How often everybody is asked all the same: what the sweep closed, a listener that is full."""

READ = select.EPOLLIN | select.EPOLLPRI


class Loop:
    """Waits for sockets and lets their owners act.

    An entry is asked anew what it waits for when something happened to it, and at every turn
    while an answer of its is under way, because only then other threads act on it.

    Args:
        entries: waitress's map of everything that has a socket, by descriptor.
    """

    def __init__(self, entries: dict[int, Any]) -> None:
        self._entries = entries
        self._poll = select.epoll()
        self._watcher = Watcher(self._poll)
        self._known: dict[int, tuple[Any, int]] = {}
        self._busy: set[int] = set()
        self._renew_at = 0.0
        self._looked_at = time.monotonic()
        self.came_at = self._looked_at
        """The moment since when what this turn finds may have lain there: a loop with much to do
        comes to it late, and its deadline does not wait for that."""

    def turn(self, now: float, within_s: float) -> None:
        """Wait for something to happen and deal with it.

        Args:
            now: Monotonic seconds.
            within_s: How long to wait at most.
        """
        if now >= self._renew_at:
            self._renew_at = now + RENEW_S
            self._renew(self._entries.keys() | self._known.keys())
        else:
            self._renew(self._busy)
        happened = self._look(min(within_s, RENEW_S))
        for descriptor, flags in happened:
            entry = self._entries.get(descriptor)
            if entry is not None:
                waitress.wasyncore.readwrite(entry, flags)
        self._renew([descriptor for descriptor, _ in happened])
        self._renew(self._entries.keys() ^ self._known.keys())

    def close(self) -> None:
        """Wait for nothing any more."""
        self._poll.close()

    def _look(self, within_s: float) -> list[tuple[int, int]]:
        """What has happened since the last look, or else what happens next."""
        happened = self._watcher.look()
        if happened:
            # It came behind the last look, nobody knows how soon.
            self.came_at, self._looked_at = self._looked_at, time.monotonic()
        else:
            happened = self._poll.poll(within_s)
            self.came_at = self._looked_at = time.monotonic()
        return happened

    def _renew(self, descriptors: Any) -> None:
        for descriptor in tuple(descriptors):
            entry = self._entries.get(descriptor)
            wanted = 0
            if entry is not None:
                wanted = READ if entry.readable() else 0
                if not entry.accepting and entry.writable():
                    wanted |= select.EPOLLOUT
            self._want(descriptor, entry, wanted)

    def _want(self, descriptor: int, entry: Any, wanted: int) -> None:
        known, present = self._known.get(descriptor, (None, 0))
        if known is not entry:
            # Closed: the kernel has forgotten it, and its number may be another's by now.
            present = 0
        if entry is None:
            self._known.pop(descriptor, None)
            self._busy.discard(descriptor)
            return
        if wanted != present:
            self._register(descriptor, present, wanted)
        self._known[descriptor] = (entry, wanted)
        if getattr(entry, "busy", False):
            self._busy.add(descriptor)
        else:
            self._busy.discard(descriptor)

    def _register(self, descriptor: int, present: int, wanted: int) -> None:
        if not present:
            self._poll.register(descriptor, wanted)
        elif wanted:
            self._poll.modify(descriptor, wanted)
        else:
            self._poll.unregister(descriptor)
