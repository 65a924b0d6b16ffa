"""Inspection ids: never used twice, whatever happens to the power or the disk."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_app.records.database import Database
from edge_app.records.floor import FLOOR, LOCK, WITHOUT_DISK, read_floor, write_floor
from edge_app.records.trouble import Mount
from edge_app.turn import turn

LEASE = 1000
"""Ids reserved by one commit. A restart gives up what was left of them: 32 bits last for
four million restarts."""

TICKS_PER_S = 16
"""Of ids without a disk: more than parts a line has, so that the clock stays ahead of them."""

log = logging.getLogger(__name__)


class Ids:
    """Hands out ids from a block that the database reserved beforehand.

    When the disk refuses to reserve a block, ids come from the upper half of the 32 bits:
    inspecting goes on, and they can't meet the others. The wall clock says where to begin, so
    that a program that is started again goes on behind the one before. Should two records meet
    all the same, after a step of the clock, the later one is kept under another id.

    Args:
        lease: Reserves that many ids durably; see `leaser`.
        slot: Which of the programs this is: none gives another one's ids.
        slots: How many there are.
        clock: Wall clock, seconds since 1970.
    """

    def __init__(
        self,
        lease: Callable[[int], range],
        slot: int = 0,
        slots: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lease = lease
        self._slot = slot
        self._slots = slots
        self._clock = clock
        self._lock = threading.Lock()
        self._blocks: deque[Iterator[int]] = deque()
        self._tick = 0
        self._failing = False

    def refill(self) -> None:
        """Reserve the next block early, in a quiet moment, so that no part waits for the disk."""
        with self._lock:
            if self._failing or len(self._blocks) > 1:
                return
        try:
            block = self._lease(LEASE)
        except (sqlite3.Error, OSError) as error:
            log.debug("no ids reserved ahead: %s", error)
            return
        with self._lock:
            self._blocks.append(iter(block))

    def next(self) -> int:
        """An id that nobody else has or will ever get."""
        with self._lock:
            while self._blocks:
                for value in self._blocks[0]:
                    return value
                self._blocks.popleft()
            try:
                self._blocks.append(iter(self._lease(LEASE)))
            except (sqlite3.Error, OSError) as error:
                return self._without_disk(error)
            self._failing = False
            return next(self._blocks[0])

    def _without_disk(self, error: Exception) -> int:
        if not self._failing:
            log.error("the disk reserves no inspection ids, going on without it: %s", error)
        self._failing = True
        self._tick = max(self._tick + 1, int(self._clock() * TICKS_PER_S))
        return WITHOUT_DISK + (self._tick * self._slots + self._slot) % WITHOUT_DISK


def leaser(path: Path) -> Callable[[int], range]:
    """Reserves ids beside the database at `path`, whatever the database's own state.

    Both the floor file and the database know where to go on. The higher one is right: a file
    may have been lost, and records may come from a backup of another day.
    """
    mount = Mount(path.parent)
    seen = 0

    def lease(count: int) -> range:
        nonlocal seen
        mount.check()
        path.parent.mkdir(parents=True, exist_ok=True)
        with turn(path.parent / LOCK):
            floor = read_floor(path.parent)
            if floor is None and seen:
                # Another disk: how far the other programs are in their blocks nobody can say.
                raise OSError(f"{FLOOR} is gone: ids begin anew with a restart")
            try:
                start = _from_database(path, count, floor or 0)
            except (sqlite3.Error, OSError):
                if floor is None:
                    raise
                start = floor
            if start + count > WITHOUT_DISK:
                raise OSError("all ids were given")
            write_floor(path.parent, start + count)
        seen = start + count
        return range(start, seen)

    return lease


def _from_database(path: Path, count: int, floor: int) -> int:
    database = Database(path)
    try:
        return database.lease_ids(count, floor).start
    finally:
        database.close()
