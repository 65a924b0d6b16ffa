"""Live pictures for all who look, fetched from a line once."""

from __future__ import annotations

import threading
import time
import zlib
from dataclasses import dataclass

from edge_app.lines import LineDown, Lines

FRESH_S = 0.2
"""Viewers within this time share one picture: the line encodes it once, whoever looks."""


@dataclass(frozen=True, slots=True)
class Still:
    """A camera's picture as a line gave it.

    Args:
        jpeg: The file; empty when there was none.
        mark: Changes with the picture: an ETag.
        asked_at: Monotonic seconds at which the line was asked.
    """

    jpeg: bytes
    mark: str
    asked_at: float


class Stills:
    """The newest picture of each camera, at most `FRESH_S` old.

    Args:
        lines: Whom to ask.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._locks = {name: threading.Lock() for name in lines.names}
        self._stills: dict[str, Still] = {}

    def newest(self, name: str) -> Still:
        """A camera's picture; an empty one while the line or the camera gives none.

        Raises:
            KeyError: There is no such camera.
        """
        with self._locks[name]:
            still = self._stills.get(name)
            if still is None or time.monotonic() - still.asked_at > FRESH_S:
                still = self._stills[name] = self._ask(name)
            return still

    def _ask(self, name: str) -> Still:
        asked_at = time.monotonic()
        try:
            reply = self._lines.ask(name, "GET", "/live.jpg")
        except LineDown:
            return Still(b"", "", asked_at)
        if reply.status != 200:
            return Still(b"", "", asked_at)
        return Still(reply.body, f"{zlib.crc32(reply.body):08x}{len(reply.body):x}", asked_at)
