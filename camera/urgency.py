"""Real-time priority: the threads that a part waits for go before every ordinary program."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

PRIORITY = 1
"""The least of the real-time ones: before every ordinary program, behind the kernel's own."""

BACKGROUND = frozenset({"archive", "loader", "sync"})
"""Threads that no part waits for: they, and the programs they start, stay ordinary."""

log = logging.getLogger(__name__)


class Urgency:
    """Asks the kernel for real-time priority, and goes on without it where that is refused.

    Niceness only weighs: an ordinary program that runs already keeps its slice of some
    milliseconds, several times on a part's way. Nearly all threads have to ask: whoever holds
    Python's lock while it waits for a processor holds up all others.

    Args:
        unwanted: Why not to ask at all; empty to ask.
    """

    def __init__(self, unwanted: str = "") -> None:
        self._unwanted = unwanted
        self._refused = unwanted or "not asked for yet"

    @property
    def refused(self) -> str:
        """Why the line runs at ordinary priority; empty while it does not."""
        return self._refused

    def claim(self) -> None:
        """Ask for all threads but those in the background, the runtime's own ones too.

        Threads inherit it. A model's own are made by who loads it, which is in the background:
        so this is called again for each model that comes into force.
        """
        if self._unwanted:
            return
        calm = {t.native_id for t in threading.enumerate() if t.name in BACKGROUND}
        try:
            threads = {int(entry.name) for entry in Path("/proc/self/task").iterdir()}
            for thread in threads - calm:
                # A thread may have ended since it was listed.
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(PRIORITY))
        except OSError as error:
            self._refuse(f"the system gives no real-time priority: {error.strerror}")
        else:
            self._refused = ""

    def _refuse(self, reason: str) -> None:
        if self._refused != reason:
            log.warning("%s; under load parts may be answered later", reason)
        self._refused = reason


@contextlib.contextmanager
def ordinary() -> Iterator[None]:
    """What this thread starts in here has ordinary priority, and its niceness."""
    policy, given = os.sched_getscheduler(0), os.sched_getparam(0)
    if policy == os.SCHED_OTHER:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, given)
