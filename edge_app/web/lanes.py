"""Threads for the requests, in two lanes: uploads, and everything else.

However many uploads wait for their model, a page or a health check finds a free thread. When
more uploads wait for a thread than there are, the next ones are refused at once, on a thread
that does nothing else and without the app: refusing must stay much cheaper than answering.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import waitress.task

PAGES = 6
"""Threads for everything that is no upload: none of it takes long."""

UPLOADS = ("/predict", "/api/v1/inspections", "/v1/", "/v2/")
"""POST below these paths runs a model."""


class Overload:
    """What stands in the place of a broken request's error: this one is whole, and too much."""

    code = 503
    reason = "Service Unavailable"
    body = "more uploads wait than there are threads"
    retry_after_ms = 200


class Lanes:
    """What waitress calls its task dispatcher.

    Args:
        uploads: Threads for uploads.
        refused: Where refusals are counted, under `queue`.
    """

    def __init__(self, uploads: int, refused: Counter[str]) -> None:
        self._threads = uploads
        self._refused = refused
        self._uploads = _dispatcher("uploads", uploads)
        self._pages = _dispatcher("pages", PAGES)
        self._refusals = _dispatcher("refusals", 1)

    def add_task(self, channel: Any) -> None:
        """Queue a request that has arrived."""
        request = channel.requests[0]
        if not _is_upload(request):
            self._pages.add_task(channel)
        elif self._uploads.active_count + len(self._uploads.queue) < 2 * self._threads:
            self._uploads.add_task(channel)
        else:
            self._refused["queue"] += 1
            request.error = Overload()
            self._refusals.add_task(channel)

    @property
    def waiting(self) -> int:
        """Requests that have arrived and wait for a thread."""
        return len(self._uploads.queue) + len(self._pages.queue)

    def set_thread_count(self, count: int) -> None:
        """Part of waitress's interface; the threads were started at the beginning."""

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Let the threads end."""
        lanes = (self._refusals, self._uploads, self._pages)
        ended = [lane.shutdown(cancel_pending, timeout=timeout) for lane in lanes]
        return all(ended)


def _dispatcher(name: str, threads: int) -> Any:
    dispatcher = waitress.task.ThreadedTaskDispatcher()
    # Its warnings about the queue's depth are the door's business.
    dispatcher.queue_logger = logging.getLogger(f"{__name__}.{name}")
    dispatcher.queue_logger.setLevel(logging.ERROR)
    dispatcher.set_thread_count(threads)
    return dispatcher


def _is_upload(request: Any) -> bool:
    if request.error is not None or request.command != "POST":
        return False
    path: str = request.path
    return path.startswith(UPLOADS)
