"""The thread that commits inspections, so that a slow disk never holds the line."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from edge_app.records.damage import inode, is_damage, set_aside
from edge_app.records.database import Counters, Database
from edge_app.records.findings import NOTHING
from edge_app.records.inspection import Inspection
from edge_app.records.sync import Sync

MAX_WAITING = 20_000
"""Inspections kept in memory while the disk refuses them: some hours of a quick line, 40 MB."""

MAX_WITH_FINDINGS = 2000
"""Of these the boxes and maps are kept in memory, too: 12 kB each at worst."""

BATCH = 200
RETRY_S = 1.0

COUNTERS_S = 1.0
"""Counters that changed without an inspection (missed triggers, a reset) are kept this often
at most: a PLC that hammers must not wear out the card."""

log = logging.getLogger(__name__)


class Recorder:
    """Commits inspections in order, several at once when they come quicker than the disk.

    While the disk fails, inspections wait in memory and are committed when it is back.

    Args:
        path: The database file.
        counters: Gives the counters to be kept; they go into the same commits.
        after_commit: A chore for this thread, such as reserving ids; may use the disk.
        sync_within_ms: How long after its commit a record may be lost by a power cut; 0: not
            at all, each commit waits for the disk.
    """

    def __init__(
        self,
        path: Path,
        counters: Callable[[], Collection[Counters]] = tuple,
        after_commit: Callable[[], None] = lambda: None,
        sync_within_ms: float = 0,
    ) -> None:
        self._path = path
        self._sync = Sync(path, sync_within_ms) if sync_within_ms else None
        self._counters = counters
        self._after_commit = after_commit
        self._waiting: deque[tuple[Inspection, threading.Event]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._counters_changed = False
        self._committed_at = 0.0
        self._lost = 0
        self._failing = ""
        self._damaged = 0
        self._database: Database | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Begin committing."""
        self._thread.start()
        if self._sync is not None:
            self._sync.start()

    @property
    def failing(self) -> str:
        """Why the disk takes no records at present; empty when it does."""
        return self._failing or (self._sync.failing if self._sync is not None else "")

    @property
    def waiting(self) -> int:
        """Inspections not yet committed."""
        return len(self._waiting)

    @property
    def lost(self) -> int:
        """Inspections given up because the disk failed for too long."""
        return self._lost

    def add(self, inspection: Inspection) -> threading.Event:
        """Queue an inspection; the event is set once it is committed."""
        committed = threading.Event()
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                # The oldest goes: what just happened is what a person will ask for.
                self._waiting.popleft()
                self._lost += 1
            if len(self._waiting) >= MAX_WITH_FINDINGS:
                inspection = replace(inspection, findings=NOTHING)
            self._waiting.append((inspection, committed))
            self._changed.notify()
        return committed

    def keep_counters(self) -> None:
        """The counters changed without an inspection: commit them too, within a second."""
        with self._changed:
            self._counters_changed = True
            self._changed.notify()

    def stop(self, within_s: float = 1.0) -> None:
        """Commit what waits, as far as the disk lets it within the time given."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(within_s)
        if self._sync is not None and self._sync.pending:
            log.error("the newest records may not outlive a power cut: the disk was too slow")
        if self._waiting:
            log.error("%d inspections could not be recorded", len(self._waiting))

    def _run(self) -> None:
        while True:
            with self._changed:
                batch, changed = self._next_batch()
            if not batch and not changed:
                break
            try:
                self._commit([inspection for inspection, _ in batch])
            except (sqlite3.Error, OSError) as error:
                self._close()
                self._failed(error)
                with self._changed:
                    self._counters_changed |= changed
                    if self._stopping:
                        break
                    self._changed.wait_for(lambda: self._stopping, timeout=RETRY_S)
                continue
            self._committed(batch)
            self._after_commit()
        if self._sync is not None:
            # Before the database is closed: whoever closes it last removes the log.
            self._sync.stop()
        self._close()

    def _commit(self, batch: list[Inspection]) -> None:
        """Commit to the file that lies at the path, also if it is exchanged just now."""
        while True:
            if self._database is None:
                self._database = Database(self._path, synced=self._sync is None)
            self._database.add(batch, self._counters())
            if self._database.is_current:
                break
            self._close()

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None

    def _next_batch(self) -> tuple[list[tuple[Inspection, threading.Event]], bool]:
        """What to commit next, and whether counters alone are reason enough."""
        while not self._waiting and not self._stopping:
            due_s = self._committed_at + COUNTERS_S - time.monotonic()
            if self._counters_changed and due_s <= 0:
                break
            self._changed.wait(due_s if self._counters_changed else None)
        changed, self._counters_changed = self._counters_changed, False
        return [self._waiting[i] for i in range(min(BATCH, len(self._waiting)))], changed

    def _committed(self, batch: list[tuple[Inspection, threading.Event]]) -> None:
        self._committed_at = time.monotonic()
        if self._sync is not None:
            self._sync.committed()
        with self._changed:
            for entry in batch:
                # The head may have been given up meanwhile.
                if self._waiting and self._waiting[0] is entry:
                    self._waiting.popleft()
        for _, committed in batch:
            committed.set()
        if self._failing:
            log.warning("the disk takes records again")
        self._failing = ""

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            log.error("the disk takes no records, keeping them in memory: %s", error)
        self._failing = str(error) or type(error).__name__
        damaged, self._damaged = self._damaged, inode(self._path) if is_damage(error) else 0
        # Once may be a whim of the disk's.
        if damaged and damaged == self._damaged:
            self._replace(damaged)

    def _replace(self, damaged: int) -> None:
        try:
            set_aside(self._path, damaged)
        except (sqlite3.Error, OSError) as error:
            log.error("the damaged records can't be set aside: %s", error)  # noqa: TRY400 - one sentence
