"""Threads for the requests, in two lanes: uploads, and everything else.

However many uploads wait for their model, a page or a health check finds a free thread. Uploads
that come too much are refused while they are read, without a thread and without the app:
refusing must stay much cheaper than answering.
"""

from __future__ import annotations

import logging
from typing import Any

import waitress.task

from edge_app.door import Busy, Door

PAGES = 6
"""Threads for everything that is no upload: none of it takes long."""

UPLOADS = ("/predict", "/api/v1/inspections", "/v1/", "/v2/")
"""POST below these paths runs a model."""


class Lanes:
    """What waitress calls its task dispatcher.

    Args:
        uploads: Threads for uploads; as many again may wait for one.
        door: Knows what an upload takes at present.
        deadline_ms: An upload's budget if it does not ask for another.
        deadline_max_ms: The longest it may ask for.
    """

    def __init__(
        self, uploads: int, door: Door, deadline_ms: float, deadline_max_ms: float
    ) -> None:
        self._threads = uploads
        self._door = door
        self._deadline_ms, self._deadline_max_ms = deadline_ms, deadline_max_ms
        self._uploads = _dispatcher("uploads", uploads)
        self._pages = _dispatcher("pages", PAGES)

    def admit(self, request: Any) -> Busy | None:
        """Why a request that is being read is refused; None lets it come."""
        if not _is_upload(request):
            return None
        ahead = self._uploads.active_count + len(self._uploads.queue)
        return self._door.knock(ahead, 2 * self._threads, self._budget_ms(request))

    def add_task(self, channel: Any) -> None:
        """Queue a request that has arrived."""
        lane = self._uploads if _is_upload(channel.requests[0]) else self._pages
        lane.add_task(channel)

    def _budget_ms(self, request: Any) -> float:
        try:
            asked_ms = float(request.headers.get("X_DEADLINE_MS", self._deadline_ms))
        except ValueError:
            return self._deadline_ms  # the app says what is wrong with it
        return asked_ms if 1 <= asked_ms <= self._deadline_max_ms else self._deadline_ms

    @property
    def waiting(self) -> int:
        """Requests that have arrived and wait for a thread."""
        return len(self._uploads.queue) + len(self._pages.queue)

    def set_thread_count(self, count: int) -> None:
        """Part of waitress's interface; the threads were started at the beginning."""

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """Let the threads end."""
        lanes = (self._uploads, self._pages)
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
