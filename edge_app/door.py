"""Admission: who can't be answered in time is refused at once, not late."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edge_app.inference.budget import Deadline

SMOOTHING = 0.1
"""Weight of the newest measurement; the estimate follows a change within some twenty uploads."""


class Busy(Exception):  # noqa: N818 - the glossary's name, read as a sentence where it is raised
    """The upload is refused: it could not be answered by its deadline.

    Args:
        message: Why.
        retry_after_ms: When it is worth another try.
    """

    def __init__(self, message: str, retry_after_ms: float) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms

    @property
    def retry_after_s(self) -> int:
        """Whole seconds, as the `Retry-After` header wants them, at least one."""
        return max(1, math.ceil(self.retry_after_ms / 1000))


class Door:
    """Lets uploads in while they can make their deadline.

    Args:
        places: Uploads inside at once.
        first_guess_ms: What one is thought to take before any was measured.
    """

    def __init__(self, places: int, first_guess_ms: float = 20.0) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._inside = 0
        self._served_ms = first_guess_ms
        self.refused = 0

    @property
    def inside(self) -> int:
        """Uploads in work."""
        return self._inside

    @property
    def served_ms(self) -> float:
        """What an upload takes at present, waiting not included."""
        return self._served_ms

    @contextmanager
    def enter(self, deadline: Deadline) -> Iterator[None]:
        """Be inside for as long as the block lasts.

        Raises:
            Busy: There is no place, or what is inside already takes too long.
        """
        with self._lock:
            # One interpreter serves them one after the other.
            wait_ms = self._inside * self._served_ms
            needed_ms = wait_ms + self._served_ms
            if self._inside >= self._places or needed_ms > deadline.left_ms():
                self.refused += 1
                raise Busy(
                    f"{self._inside} uploads are in work; an answer would take about "
                    f"{needed_ms:.0f} ms and {deadline.left_ms():.0f} ms are left",
                    retry_after_ms=max(wait_ms, self._served_ms),
                )
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    def measured(self, work_ms: float) -> None:
        """Learn from an upload what one takes: decoding and inference, without waiting."""
        with self._lock:
            self._served_ms += SMOOTHING * (work_ms - self._served_ms)
