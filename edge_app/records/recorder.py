"""The thread that commits inspections, so that a slow disk never holds the line."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import islice
from pathlib import Path

from edge_app.in_use import come_back, leave
from edge_app.records.damage import inode, is_damage, set_aside
from edge_app.records.database import Counters, Database
from edge_app.records.findings import NOTHING
from edge_app.records.inspection import Inspection
from edge_app.records.journal import Journal, line_of
from edge_app.records.sync import Sync
from edge_app.records.trouble import Mount, fails, trouble

MAX_WAITING = 20_000
"""Inspections kept in memory until they are on the disk: some hours of a quick line, 40 MB."""

MAX_WITH_FINDINGS = 2000
"""Of these the boxes and maps are kept in memory, too: 12 kB each at worst."""

BATCH = 200
RETRY_S = 1.0

ROOM_BYTES = 8_000_000
"""A disk that was full takes records again when so much is free. What a log gives back when it
is emptied is used up a second later, and the disk would be full and not full in turn."""

LOST_TOLD = 1000
"""How often it is said again that records are given up."""

COUNTERS_S = 1.0
"""Counters that changed without an inspection (missed triggers, a reset) are kept this often
at most: a PLC that hammers must not wear out the card."""

GATHER_S = 0.005
"""How long records that are in the journal are gathered for one commit: the answers leave first."""

READER_S = 0.1
"""How long a reader waits for records on their way."""

LOOK_S = 0.02
LOOKS_FOR_S = 1.0
"""After a commit the thread looks for more this often and for so long, before it has to be woken:
to wake a thread is a tenth of what an answer costs besides the model."""

LATE_SHARE = 0.1
"""Share of the time within which records are synced that a commit may be late, and the journal
still stands for it."""

log = logging.getLogger(__name__)

SAFE = threading.Event()
"""Of all records that are in a journal; to make one for each takes its time."""
SAFE.set()

Entry = tuple[Inspection, threading.Event]


class Recorder:
    """Commits inspections in order, several at once when they come quicker than the disk.

    Each stays in memory until a sync has succeeded after its commit. Whatever fails, commit or
    sync, all since the last good sync is written anew, each commit synced, until everything is
    in and there is room; only then the disk is good again. A record that is there already is
    found by its id and brought up to date.

    Args:
        path: The database file.
        counters: Gives the counters to be kept; they go into the same commits.
        after_commit: A chore for this thread, such as reserving ids; may use the disk.
        sync_within_ms: How long after its commit a record may be lost by a power cut; 0: not
            at all, each commit waits for the disk, and no journal is used.
        journal: Keeps records until they are committed; none: their commit has to be waited for.
    """

    def __init__(
        self,
        path: Path,
        counters: Callable[[], Collection[Counters]] = tuple,
        after_commit: Callable[[], None] = lambda: None,
        sync_within_ms: float = 0,
        journal: Journal | None = None,
    ) -> None:
        self._path = path
        self._mount = Mount(path.parent)
        self._sync = None
        if sync_within_ms:
            self._sync = Sync(path, sync_within_ms, self._synced, self._not_synced)
        self._journal = journal if sync_within_ms else None
        self._late_s = sync_within_ms / 1000 * LATE_SHARE
        self._counters = counters
        self._after_commit = after_commit
        self._waiting: deque[Entry] = deque()
        self._waits_since = 0.0
        self._hurried = self._asleep = False
        self._unsynced: deque[tuple[int, Entry]] = deque()
        self._commits = 0
        self._sync_error: Exception | None = None
        self._changed = threading.Condition()
        self._stopping = False
        self._counters_changed = False
        self._committed_at = 0.0
        self._lost = 0
        self._failing = ""
        self._damaged = 0
        self._database: Database | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def catch_up(self) -> None:
        """Commit what the program before left in its journal; later, if the disk refuses."""
        if self._journal is None or not (left := self._journal.left()):
            return
        try:
            database = Database(self._path)
            try:
                database.add(left)
            finally:
                database.close()
        except (sqlite3.Error, OSError) as error:
            log.error("records of the program before wait in memory: %d: %s", len(left), error)  # noqa: TRY400 - one sentence
            self._waiting.extend((inspection, threading.Event()) for inspection in left)
        else:
            self._journal.clear()
            log.warning("records written that the program before had answered for: %d", len(left))

    def start(self) -> None:
        """Begin committing."""
        self._thread.start()
        if self._sync is not None:
            self._sync.start()

    @property
    def failing(self) -> str:
        """Why the disk takes no records at present, and what to do; empty when it does."""
        if self._failing:
            gone = f"; {self._lost} records are lost, memory is full" if self._lost else ""
            return self._failing + gone
        return self._sync.slow if self._sync is not None else ""

    @property
    def waiting(self) -> int:
        """Inspections to be committed, for the first time or anew."""
        return len(self._waiting)

    @property
    def lost(self) -> int:
        """Inspections given up because the disk failed for too long."""
        return self._lost

    def add(self, inspection: Inspection) -> threading.Event:
        """Queue an inspection; the event is set once it outlives the program.

        That is once it is committed, or at once where the journal has it and commits are prompt.
        """
        line = line_of(inspection) if self._journal is not None else b""
        with self._changed:
            kept = len(self._waiting) + len(self._unsynced)
            if kept >= MAX_WAITING:
                self._give_up_oldest()
            if kept >= MAX_WITH_FINDINGS:
                inspection = replace(inspection, findings=NOTHING)
            first = not self._waiting
            if first:
                self._waits_since = time.monotonic()
            if self._journal is not None and self._journal.add(line) and self._prompt:
                safe = SAFE
            else:
                safe, self._hurried = threading.Event(), True
            self._waiting.append((inspection, safe))
            if self._asleep or self._hurried:
                self._changed.notify()
        return safe

    @property
    def _prompt(self) -> bool:
        return not self._failing and time.monotonic() - self._waits_since <= self._late_s

    def hurry(self, within_s: float = READER_S) -> bool:
        """Commit at once what waits, for somebody who wants to read it; False if it took longer."""
        with self._changed:
            if not self._waiting:
                return True
            newest = self._waiting[-1]
            self._hurried = True
            self._changed.notify()
            return self._changed.wait_for(
                lambda: all(entry is not newest for entry in self._waiting), timeout=within_s
            )

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

    def _give_up_oldest(self) -> None:
        # The oldest goes: what just happened is what a person will ask for.
        if self._unsynced:
            self._unsynced.popleft()
        else:
            self._waiting.popleft()
        self._lost += 1
        if self._lost % LOST_TOLD == 1:
            log.critical(
                "%d records wait for the disk, no more are kept in memory: %d are lost so far",
                MAX_WAITING,
                self._lost,
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                batch, changed = self._next_batch()
            if not batch and not changed:
                break
            try:
                self._commit([inspection for inspection, _ in batch])
            except (sqlite3.Error, OSError) as error:
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
        if self._sync_error is not None:
            error, self._sync_error = self._sync_error, None
            raise error
        while True:
            database = self._opened()
            database.add(batch, self._counters())
            if self._failing:
                # In the log alone it would not show that the database itself has no room.
                database.checkpoint("TRUNCATE")
            if database.is_current:
                break
            self._close()

    def _opened(self) -> Database:
        if self._database is None:
            self._mount.check()
            each = self._sync is None or bool(self._failing)
            self._database = Database(self._path, synced=each)
            if self._failing:
                # What is in the log may never have reached the disk: it is begun anew.
                self._database.checkpoint("TRUNCATE")
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
        self._database = None

    def _next_batch(self) -> tuple[list[Entry], bool]:
        """What to commit next, and whether there is reason to without any inspection."""
        while not (self._stopping or self._sync_error):
            due_s = self._due_s()
            if due_s is not None and due_s <= 0:
                break
            self._asleep = time.monotonic() > self._committed_at + LOOKS_FOR_S
            self._changed.wait(due_s if self._asleep else min(LOOK_S, due_s or LOOK_S))
        self._hurried = self._asleep = False
        changed, self._counters_changed = self._counters_changed, False
        changed |= self._sync_error is not None or (bool(self._failing) and not self._stopping)
        return list(islice(self._waiting, BATCH)), changed

    def _due_s(self) -> float | None:
        """Until the next commit; None while there is nothing to be committed."""
        if self._waiting:
            return 0.0 if self._hurried else self._waits_since + GATHER_S - time.monotonic()
        if self._counters_changed or self._failing:
            return self._committed_at + COUNTERS_S - time.monotonic()
        return None

    def _committed(self, batch: list[Entry]) -> None:
        self._committed_at = time.monotonic()
        self._commits += 1
        to_sync = self._sync is not None and not self._failing
        with self._changed:
            for entry in batch:
                # The head may have been given up meanwhile.
                if self._waiting and self._waiting[0] is entry:
                    self._waiting.popleft()
                    if to_sync:
                        self._unsynced.append((self._commits, entry))
            self._waits_since = time.monotonic()
            if self._journal is not None and not self._waiting:
                self._journal.clear()
            self._changed.notify_all()
        if self._sync is not None and to_sync:
            self._sync.committed(self._commits)
        for _, safe in batch:
            safe.set()
        if self._failing and len(self._waiting) < BATCH:
            self._look_again()

    def _look_again(self) -> None:
        """All is written and synced: whether the disk is good again."""
        folder = self._path.parent
        try:
            if shutil.disk_usage(folder).free < ROOM_BYTES:
                return
            come_back(folder)
        except OSError as error:
            log.warning("the disk is not used as before yet: %s", error)
            return
        log.warning("the disk takes records again")
        self._failing = ""
        self._close()
        if self._sync is not None:
            self._sync.resume()

    def _synced(self, commit: int) -> None:
        """All up to this commit are on the disk."""
        with self._changed:
            while self._unsynced and self._unsynced[0][0] <= commit:
                self._unsynced.popleft()

    def _not_synced(self, error: Exception) -> None:
        with self._changed:
            self._sync_error = error
            self._changed.notify()

    def _failed(self, error: Exception) -> None:
        """All since the last good sync waits again, and nothing of the disk is held."""
        self._close()
        if self._sync is not None:
            self._sync.rest()
        with self._changed:
            self._waiting.extendleft(entry for _, entry in reversed(self._unsynced))
            self._unsynced.clear()
        if not self._failing:
            log.error("records are kept in memory: %s", trouble(error))
        # A sick disk turns read-only soon; that is not what has to be mended.
        if not self._failing or fails(error):
            self._failing = trouble(error)
        if fails(error):
            leave(self._path.parent)
        damaged, self._damaged = self._damaged, inode(self._path) if is_damage(error) else 0
        # Once may be a whim of the disk's.
        if damaged and damaged == self._damaged:
            self._replace(damaged)

    def _replace(self, damaged: int) -> None:
        try:
            set_aside(self._path, damaged)
        except (sqlite3.Error, OSError) as error:
            log.error("the damaged records can't be set aside: %s", error)  # noqa: TRY400 - one sentence
