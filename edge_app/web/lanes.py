"""Threads for the requests, in two lanes: uploads, and everything else.

However many uploads wait for their model, a page or a health check finds a free thread.
"""

from __future__ import annotations

import logging
from typing import Any

import waitress.task

PAGES = 6
"""Threads for everything that is no upload: none of it takes long."""

UPLOADS = ("/predict", "/api/v1/inspections", "/v1/", "/v2/")
"""POST below these paths runs a model."""


class Lanes:
    """What waitress calls its task dispatcher.

    Args:
        uploads: Threads for uploads.
    """

    def __init__(self, uploads: int) -> None:
        self._uploads = _dispatcher("uploads", uploads)
        self._pages = _dispatcher("pages", PAGES)

    def add_task(self, channel: Any) -> None:
        """Queue a request that has arrived."""
        lane = self._uploads if _is_upload(channel.requests[0]) else self._pages
        lane.add_task(channel)

    @property
    def waiting(self) -> int:
        """Requests that have arrived and wait for a thread."""
        return len(self._uploads.queue) + len(self._pages.queue)

    def set_thread_count(self, count: int) -> None:
        """Part of waitress's interface; the threads were started at the beginning."""

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Let the threads end."""
        ended = [
            lane.shutdown(cancel_pending, timeout=timeout) for lane in (self._uploads, self._pages)
        ]
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
