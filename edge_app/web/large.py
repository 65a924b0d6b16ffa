"""Large JSON bodies are taken apart one after the other: what they become is larger still."""

from __future__ import annotations

import threading

from flask import Flask, g, request

from edge_app.config import AppSettings
from edge_app.inference.budget import TooLate
from edge_app.trim import trimmer
from edge_app.web.request import LARGE_BYTES, LARGE_JSON, deadline_in


class LargeJson:
    """One place for a request with a large JSON body, from its parsing to its answer.

    Args:
        settings: How long a request may wait.
    """

    def __init__(self, settings: AppSettings) -> None:
        self._settings = settings
        self._place = threading.Lock()
        self._trim = trimmer()

    def attach(self, app: Flask) -> None:
        """Hold up what an app takes apart."""
        app.extensions[LARGE_JSON] = self.enter
        app.teardown_request(self._leave)

    def enter(self, size_bytes: int) -> None:
        """Take the place for the request at work, unless its body is small.

        Raises:
            TooLate: Another one had it until the deadline.
        """
        if size_bytes <= LARGE_BYTES or "large_json" in g:
            return
        deadline = deadline_in(
            request.environ, self._settings.deadline_ms, self._settings.deadline_max_ms
        )
        if not self._place.acquire(timeout=deadline.left_s()):
            raise TooLate("another large JSON body was still being worked on at the deadline")
        g.large_json = True

    def _leave(self, _error: BaseException | None) -> None:
        if g.pop("large_json", False):
            self._trim()
            self._place.release()
