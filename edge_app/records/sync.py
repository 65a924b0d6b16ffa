"""The thread that makes commits last: one sync of the disk for all since the one before."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from pathlib import Path

from edge_app.inference.durable import sync_folder
from edge_app.records.damage import report
from edge_app.records.database import Database

EARLY = 0.5
"""Share of the time allowed after which a sync begins; the rest is for the disk to do it."""

CHECKPOINT = 100
"""Commits after which the log is copied into the database file. Here, not in the commit
that happens to be the hundredth: its part would wait for the disk."""

RETRY_S = 1.0

log = logging.getLogger(__name__)


class Sync:
    """Syncs the write-ahead log within a stated time of each commit.

    A commit without a sync outlives every process, but not a power cut. Many share one sync
    here, in a thread of its own, so that neither a part nor the next commit waits for it.

    Args:
        path: The database file.
        within_ms: A commit is on the disk after that long.
    """

    def __init__(self, path: Path, within_ms: float) -> None:
        self._path = path
        self._within_s = within_ms / 1000
        self._changed = threading.Condition()
        self._waits_since: float | None = None
        self._in_work_since: float | None = None
        self._commits = 0
        self._stopping = False
        self._log = LogFile(path)
        self._error = ""
        self._slow = False
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def failing(self) -> str:
        """Why records are not on the disk in time; empty while they are."""
        if self._error:
            return self._error
        since = self._oldest
        if since is not None and time.monotonic() > since + self._within_s:
            return f"the disk takes longer than {self._within_s * 1000:.0f} ms to keep a record"
        return ""

    @property
    def pending(self) -> bool:
        """Whether there are commits that are not yet on the disk."""
        return self._oldest is not None

    def committed(self) -> None:
        """There is a commit that has to last."""
        with self._changed:
            self._commits += 1
            if self._waits_since is None:
                self._waits_since = time.monotonic()
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
        while (since := self._next()) is not None:
            try:
                self._sync()
            except (OSError, sqlite3.Error) as error:
                if not self._failed(error, since):
                    break
            else:
                self._done(since)
        self._log.close()

    def _next(self) -> float | None:
        """Wait until a sync is due: since when, or None when there is nothing left to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._waits_since is not None)
            if self._waits_since is None:
                return None
            due_s = self._waits_since + self._within_s * EARLY - time.monotonic()
            self._changed.wait_for(lambda: self._stopping, timeout=max(0.0, due_s))
            # A commit from here on may have missed the sync: it waits for the next one.
            self._in_work_since, self._waits_since = self._waits_since, None
            return self._in_work_since

    def _sync(self) -> None:
        if self._error:
            # The kernel reports a write that failed only once, and then calls the page clean:
            # a sync that succeeds now proves nothing. So all is copied and the log begun anew.
            self._checkpoint("TRUNCATE")
        else:
            self._log.sync()
            if self._commits >= CHECKPOINT:
                self._checkpoint("PASSIVE")

    def _checkpoint(self, mode: str) -> None:
        database = Database(self._path)
        try:
            database.checkpoint(mode)
        finally:
            database.close()
        self._commits = 0

    def _done(self, since: float) -> None:
        took_s = time.monotonic() - since
        self._in_work_since = None
        slow = took_s > self._within_s
        if slow and not self._slow:
            log.warning("the disk took %.0f ms to keep a record", took_s * 1000)
        elif self._error:
            log.warning("the disk keeps records again")
        self._slow, self._error = slow, ""

    def _failed(self, error: Exception, since: float) -> bool:
        """Whether to try again."""
        if not self._error:
            log.error("the newest records are not on the disk: %s", error)
        self._error = str(error) or type(error).__name__
        report(self._path, error)
        with self._changed:
            self._waits_since, self._in_work_since = since, None
            return not self._changed.wait_for(lambda: self._stopping, timeout=RETRY_S)


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
