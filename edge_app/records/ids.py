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

LEASE = 1000
"""Ids reserved by one commit. A restart gives up what was left of them: 32 bits last for
four million restarts."""

WITHOUT_DISK = 1 << 31
"""Ids from here on were given while the disk would not reserve any."""

log = logging.getLogger(__name__)


class Ids:
    """Hands out ids from a block that the database reserved beforehand.

    When the disk refuses to reserve a block, ids come from the upper half of the 32 bits,
    seeded by the wall clock's seconds: inspecting goes on, and they can't meet the others.

    Args:
        lease: Reserves that many ids durably; `Database.lease_ids`.
    """

    def __init__(self, lease: Callable[[int], range]) -> None:
        self._lease = lease
        self._lock = threading.Lock()
        self._blocks: deque[Iterator[int]] = deque()
        self._emergency = WITHOUT_DISK
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
        now = WITHOUT_DISK + int(time.time()) % WITHOUT_DISK
        self._emergency = max(self._emergency + 1, now)
        return self._emergency


def leaser(path: Path) -> Callable[[int], range]:
    """Reserves ids in the database at `path`, with a connection for each block."""

    def lease(count: int) -> range:
        database = Database(path)
        try:
            return database.lease_ids(count)
        finally:
            database.close()

    return lease
