"""The few threads that do the uploads' work, so that nobody who waits for it waits too long."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from edge_app import errand
from edge_app.inference.budget import Deadline

T = TypeVar("T")

STEPS_BACK = 10
"""Of niceness, by which the crew stands behind the app's other threads. Pictures take all of a
processor that they get; what refuses an upload or answers a page takes little and waits for it.
With ten times as many uploads as the app can take, refusals took 32 to 84 ms at p99 without
this, 11 to 21 with it, and a quarter more pictures were answered."""

log = logging.getLogger(__name__)


class Task(Generic[T]):
    """One piece of work: whoever waits for it may give it up, then its result comes late.

    Args:
        work: What to do.
        late: Gets the result when nobody waits for it any more.
    """

    def __init__(self, work: Callable[[], T], late: Callable[[T], object]) -> None:
        self._work = work
        self._late = late
        self._request_id = errand.current()
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._given_up = False
        self._result: T
        self._error: Exception | None = None

    def run(self) -> None:
        """Do it; called by a thread of the crew, which works for the caller's request meanwhile."""
        with errand.on_behalf_of(self._request_id):
            self._run()

    def _run(self) -> None:
        try:
            self._result = self._work()
        # Handed to whoever waits, of whatever kind it is.
        except Exception as error:  # noqa: BLE001 - not swallowed
            self._error = error
        with self._lock:
            self._done.set()
            given_up = self._given_up
        if not given_up:
            return
        if self._error is None:
            self._late(self._result)
        else:
            log.debug("an upload that was given up failed afterwards: %s", self._error)
            self._error = None

    def result(self, deadline: Deadline, give_up: Callable[[], object] = lambda: None) -> T | None:
        """Wait for the result until the deadline; None when it did not come.

        Args:
            deadline: How long to wait.
            give_up: Called when it did not come, before a late result can be reported.

        Raises:
            Exception: Whatever the work raised.
        """
        self._done.wait(deadline.left_s())
        with self._lock:
            if not self._done.is_set():
                self._given_up = True
                give_up()
                return None
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            # An error knows where it was raised: with it, this would keep itself in memory.
            del error
        return self._result


class Crew:
    """Does tasks in the order in which they come.

    Args:
        threads: How many are done at once.
    """

    def __init__(self, threads: int) -> None:
        self._queue: queue.SimpleQueue[Task[Any] | None] = queue.SimpleQueue()
        # Daemons: a model that hangs for good must not keep the program from leaving.
        self._threads = [
            threading.Thread(target=self._run, name=f"upload-{number}", daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float = 1.0) -> None:
        """Finish what was begun, as far as it takes no longer."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(within_s / len(self._threads))

    def do(self, work: Callable[[], T], late: Callable[[T], object] = lambda _: None) -> Task[T]:
        """Have something done; the number of callers is bounded by the door."""
        task = Task(work, late)
        self._queue.put(task)
        return task

    def _run(self) -> None:
        _stand_back()
        while (task := self._queue.get()) is not None:
            try:
                task.run()
            # The loop's edge: a late result that can't be recorded is no reason to stop.
            except Exception:
                log.exception("a late result was lost")
            # Else the last picture would be kept until the next one comes.
            del task


def _stand_back() -> None:
    """Let others' threads run before this one; a program may always do that."""
    thread = threading.get_native_id()
    niceness = os.getpriority(os.PRIO_PROCESS, thread)
    # The system takes more than it knows for the most.
    os.setpriority(os.PRIO_PROCESS, thread, niceness + STEPS_BACK)
