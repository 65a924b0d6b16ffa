"""The thread that lets old records go: a few at a time, and never in the line's way."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from pathlib import Path

from edge_app.records.damage import report
from edge_app.records.database import opening

BATCH = 100
"""Records removed by one transaction: it holds the write lock for a few milliseconds."""

PAUSE_S = 1.0
"""Between two batches: 100 records a second leave, more than any line makes."""

LOOK_S = 600.0
"""How often the records are counted."""

PATIENCE_S = 0.1
"""Whoever writes just now goes first; the batch is tried again later."""

log = logging.getLogger(__name__)


class Retention:
    """Keeps the number of records within a bound; the lowest ids go first, with their reviews.

    Args:
        path: The database file.
        max_rows: Records kept; 0: no bound.
        batch: Records removed at a time.
        pause_s: Rest between two batches.
    """

    def __init__(
        self, path: Path, max_rows: int, *, batch: int = BATCH, pause_s: float = PAUSE_S
    ) -> None:
        self._path = path
        self._max_rows = max_rows
        self._batch = batch
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        if self._max_rows:
            self._thread.start()

    def stop(self, within_s: float = 0.5) -> None:
        """Leave after the batch in work."""
        self._stopping.set()
        if self._thread.ident:
            self._thread.join(within_s)

    def _run(self) -> None:
        wait_s = self._pause_s
        while not self._stopping.wait(wait_s):
            wait_s = LOOK_S
            try:
                self._let_go()
            except (sqlite3.Error, OSError) as error:
                log.info("old records stay for now: %s", error)
                report(self._path, error)

    def _let_go(self) -> None:
        # `rw`: a file that is not there is the recorder's to make.
        with opening(self._path):
            connection = sqlite3.connect(
                f"file:{self._path}?mode=rw", uri=True, timeout=PATIENCE_S, isolation_level=None
            )
            connection.execute("PRAGMA user_version")
        with contextlib.closing(connection):
            # Not FULL: the lock is not held through an fsync, and a removal that a power cut
            # undoes is done again.
            connection.execute("PRAGMA synchronous = NORMAL")
            (count,) = connection.execute("SELECT count(*) FROM inspections").fetchone()
            excess = count - self._max_rows
            while excess > 0 and not self._stopping.is_set():
                excess -= _remove_oldest(connection, min(excess, self._batch))
                self._stopping.wait(self._pause_s)


def _remove_oldest(connection: sqlite3.Connection, count: int) -> int:
    """Remove the records with the lowest ids; returns how many went."""
    oldest = "(SELECT id FROM inspections ORDER BY id LIMIT ?)"
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"DELETE FROM reviews WHERE inspection IN {oldest}", (count,))  # noqa: S608 - ours
        gone = connection.execute(f"DELETE FROM inspections WHERE id IN {oldest}", (count,))  # noqa: S608 - ours
    except BaseException:
        # A full or failing disk has SQLite roll back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return gone.rowcount
