"""Answers in time for threads that are still at work themselves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

IDLE_S = 60.0
"""Without anything to keep, the thread ends; the next one begins another."""

log = logging.getLogger(__name__)


class Keeper:
    """Does something at a moment unless it is told before that there is no need.

    It is told at each part, and mostly in vain: so the thread is not woken for a moment that
    lies behind the one it waits for already.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._kept: dict[int, tuple[float, Callable[[], object]]] = {}
        self._wakes_at = float("inf")
        self._runs = False

    def keep(self, key: int, moment: float, act: Callable[[], object]) -> None:
        """Call `act` at a monotonic moment, in a thread of its own.

        Raises:
            RuntimeError: The system has no thread to give; nothing is kept.
        """
        with self._changed:
            if not self._runs:
                threading.Thread(target=self._run, name="keeper", daemon=True).start()
                self._runs = True
            self._kept[key] = moment, act
            if moment < self._wakes_at:
                self._changed.notify()

    def forget(self, key: int) -> None:
        """There is no need any more."""
        with self._changed:
            self._kept.pop(key, None)

    def _run(self) -> None:
        while (due := self._next_due()) is not None:
            for act in due:
                try:
                    act()
                # The loop's edge: one part's misfortune is never the next part's.
                except Exception:
                    log.exception("an answer at the deadline failed")

    def _next_due(self) -> list[Callable[[], object]] | None:
        """Wait for what is due; None after a long time without anything."""
        idle_until = time.monotonic() + IDLE_S
        with self._changed:
            while True:
                now = time.monotonic()
                due = [key for key, (moment, _) in self._kept.items() if moment <= now]
                if due:
                    return [self._kept.pop(key)[1] for key in due]
                if not self._kept and now >= idle_until:
                    self._runs = False
                    return None
                moments = [moment for moment, _ in self._kept.values()]
                self._wakes_at = min(moments, default=idle_until)
                self._changed.wait(self._wakes_at - now)
