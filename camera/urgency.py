"""Real-time priority: the threads that a part waits for go before every ordinary program."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

PRIORITY = 2
"""Of what a part waits for: before every ordinary program, behind the kernel's own."""

BESIDE_PRIORITY = 1
BESIDE = frozenset({"archive", "control", "sync"})
"""Threads that no part waits for, but for Python's lock while they hold it: as ordinary ones they
would be put off for some milliseconds with the lock in their hands."""

BACKGROUND = frozenset({"loader"})
"""Threads that work for seconds: they, and the programs they start, stay ordinary."""

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

        Those beside the part's way come behind it.

        Threads inherit it. A model's own are made by who loads it, which is in the background:
        so this is called again for each model that comes into force.
        """
        if self._unwanted:
            return
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        try:
            for entry in Path("/proc/self/task").iterdir():
                name = names.get(int(entry.name), "")
                if name in BACKGROUND:
                    continue
                priority = BESIDE_PRIORITY if name in BESIDE else PRIORITY
                # A thread may have ended since it was listed.
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setscheduler(int(entry.name), os.SCHED_RR, os.sched_param(priority))
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
