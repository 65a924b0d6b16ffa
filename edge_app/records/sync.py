"""The thread that makes commits last: one sync of the disk for all since the one before."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edge_app.inference.durable import sync_folder
from edge_app.records.database import Database

EARLY = 0.5
"""Share of the time allowed after which a sync begins; the rest is for the disk to do it."""

CHECKPOINT = 100
"""Commits after which the log is copied into the database file. Here, not in the commit
that happens to be the hundredth: its part would wait for the disk."""

log = logging.getLogger(__name__)


class Sync:
    """Syncs the write-ahead log within a stated time of each commit.

    A commit without a sync outlives every process, but not a power cut. Many share one sync
    here, in a thread of its own, so that neither a part nor the next commit waits for it.
    After one that failed it rests: a sync that succeeds then proves nothing of what was written
    before, for the kernel reports a write that failed only once, and then calls the page clean.

    Args:
        path: The database file.
        within_ms: A commit is on the disk after that long.
        done: Told up to which commit all are on the disk.
        failed: Told why they are not; it has to `resume`, once all is written anew.
    """

    def __init__(
        self,
        path: Path,
        within_ms: float,
        done: Callable[[int], None] = lambda _commit: None,
        failed: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._path = path
        self._within_s = within_ms / 1000
        self._tell_done = done
        self._tell_failed = failed
        self._changed = threading.Condition()
        self._waits_since: float | None = None
        self._in_work_since: float | None = None
        self._newest = 0
        self._commits = 0
        self._stopping = False
        self._resting = False
        self._log = LogFile(path)
        self._slow = False
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def slow(self) -> str:
        """Why records are not on the disk in time; empty while they are."""
        since = self._oldest
        if since is not None and time.monotonic() > since + self._within_s:
            return f"the disk takes longer than {self._within_s * 1000:.0f} ms to keep a record"
        return ""

    @property
    def pending(self) -> bool:
        """Whether there are commits that are not yet on the disk."""
        return self._oldest is not None

    def committed(self, commit: int) -> None:
        """There is a commit that has to last; they are numbered upwards."""
        with self._changed:
            self._newest = commit
            self._commits += 1
            if self._waits_since is None:
                self._waits_since = time.monotonic()
                self._changed.notify()

    def rest(self) -> None:
        """The disk fails: let go of it, so that it can be unmounted."""
        with self._changed:
            self._resting, self._waits_since = True, None
            self._changed.notify()

    def resume(self) -> None:
        """The disk is good again."""
        with self._changed:
            self._resting = False
            self._changed.notify()

    def stop(self, within_s: float = 1.0) -> None:
        """Sync what was committed, as far as the disk lets it within the time given."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(within_s)

    @property
    def _oldest(self) -> float | None:
        return self._in_work_since if self._in_work_since is not None else self._waits_since

    def _run(self) -> None:
        while (due := self._next()) is not None:
            since, newest = due
            try:
                self._sync()
            except (OSError, sqlite3.Error) as error:
                self.rest()
                self._in_work_since = None
                self._tell_failed(error)
            else:
                self._done(since)
                self._tell_done(newest)
        self._log.close()

    def _next(self) -> tuple[float, int] | None:
        """Wait until a sync is due: since when, and up to which commit; None at the end."""
        with self._changed:
            while True:
                if self._resting:
                    self._log.close()
                elif self._waits_since is not None:
                    due_s = self._waits_since + self._within_s * EARLY - time.monotonic()
                    if self._stopping or due_s <= 0:
                        break
                    self._changed.wait(due_s)
                    continue
                if self._stopping:
                    return None
                self._changed.wait()
            # A commit from here on may have missed the sync: it waits for the next one.
            since, self._waits_since = self._waits_since, None
            self._in_work_since = since
            return since, self._newest

    def _sync(self) -> None:
        self._log.sync()
        if self._commits >= CHECKPOINT:
            database = Database(self._path)
            try:
                database.checkpoint("PASSIVE")
            finally:
                database.close()
            self._commits = 0

    def _done(self, since: float) -> None:
        took_s = time.monotonic() - since
        self._in_work_since = None
        slow = took_s > self._within_s
        if slow and not self._slow:
            log.warning("the disk took %.0f ms to keep a record", took_s * 1000)
        self._slow = slow


class LogFile:
    """The write-ahead log, through a descriptor of our own.

    Closing any descriptor of the database file or its index would drop SQLite's locks on it;
    the log has none.

    Args:
        database: The database file.
    """

    fdatasync = staticmethod(os.fdatasync)

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-wal")
        self._descriptor: int | None = None

    def sync(self) -> None:
        """Put what was written so far on the disk.

        Raises:
            OSError: The disk failed; what was written since the sync before may be lost.
        """
        self.fdatasync(self._open())

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        # Kept open: only a descriptor from before a failed write is sure to be told of it.
        # Whoever closes the database last removes the log, and the next to come makes another.
        if self._descriptor is not None and self.is_current():
            return self._descriptor
        self.close()
        self._descriptor = os.open(self._path, os.O_RDONLY)
        sync_folder(self._path.parent)
        return self._descriptor

    def is_current(self) -> bool:
        """Whether the descriptor is that of the log that is in use."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False
