"""Inspections in SQLite, shared by the line and the app.

Write-ahead logging lets the app read while the line writes. A commit outlives every process;
it outlives a power cut too when it is synced, as all are but those that `Sync` looks after.
Each thread opens its own `Database`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from edge_app.inference.judge import Code, Decision
from edge_app.records.counters import Counters, begin_spans, count_records, read_counters
from edge_app.records.floor import WITHOUT_DISK
from edge_app.records.inspection import Inspection
from edge_app.records.query import Query
from edge_app.records.review import Review
from edge_app.records.row import inspection_of
from edge_app.records.schema import prepare
from edge_app.records.write import write_inspections
from edge_app.turn import turn

BUSY_MS = 2000
"""The other process holds the write lock for one commit; longer means a sick disk."""

LOCK = ".records-open"

MAX_PAGE = 500

LONGEST_LOG_PAGES = 32_000
"""Where syncs are left to somebody else, so are checkpoints, unless he falls so far behind."""

__all__ = ["Counters", "Database"]


@contextlib.contextmanager
def opening(path: Path, *, alone: bool = False) -> Iterator[None]:
    """While a database is opened nobody exchanges the file: its log is found by its name.

    Raises:
        OSError: Somebody does so for too long; or to be alone is not possible.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(turn(path.with_name(LOCK), alone=alone))
        except TimeoutError:
            raise
        except OSError:
            # A disk that takes no lock takes no other database either.
            if alone:
                raise
        yield


class Database:
    """One connection to the records, for one thread.

    Args:
        path: The database file; its folder is made if absent.
        synced: Whether each commit is on the disk when it returns; else `Sync` sees to it.

    Raises:
        sqlite3.Error: The disk or the file is not usable.
    """

    def __init__(self, path: Path, *, synced: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._spans: dict[tuple[str, str], tuple[int, float]] = {}
        with opening(path):
            self._connection = sqlite3.connect(
                path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False
            )
            try:
                self._connection.row_factory = sqlite3.Row
                self._connection.text_factory = _text
                self._connection.execute("PRAGMA synchronous = FULL")
                prepare(self._connection)
                self._inode = path.stat().st_ino
            except (sqlite3.Error, OSError):
                self._connection.close()
                raise
        try:
            if not synced:
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.execute(f"PRAGMA wal_autocheckpoint = {LONGEST_LOG_PAGES}")
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def is_current(self) -> bool:
        """Whether the file is still that which lies at the path: it may have been set aside."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def is_whole(self, enough: Callable[[], bool], steps: int) -> bool:
        """Whether every page is what it should be, as far as there is time to look.

        Args:
            enough: Asked every so many steps: whether to look no further.
            steps: So many.

        Raises:
            sqlite3.Error: It is damaged, or the disk failed.
        """
        self._connection.set_progress_handler(enough, steps)
        try:
            (said,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return True
        finally:
            self._connection.set_progress_handler(None, 0)
        return bool(said == "ok")

    def take_over(self, table: str, rows: Iterable[sqlite3.Row]) -> None:
        """Put in rows of the same table of another database."""
        with self.transaction() as connection:
            for row in rows:
                names = ", ".join(row.keys())
                marks = ", ".join("?" * len(row))
                statement = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - ours
                connection.execute(statement, tuple(row))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; takes the write lock at once, so that it can't fail half-way."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            # A full or failing disk has SQLite roll back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def checkpoint(self, mode: str) -> None:
        """Copy the write-ahead log into the database file, durably.

        Args:
            mode: `PASSIVE` copies what it can without making anybody wait; `TRUNCATE` waits for
                its turn, copies all and empties the log.

        Raises:
            sqlite3.Error: The disk failed, or `TRUNCATE` did not get its turn.
        """
        busy, *_ = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        if busy and mode == "TRUNCATE":
            raise sqlite3.OperationalError("the write-ahead log is in use")

    def lease_ids(self, count: int, floor: int = 0) -> range:
        """Reserve ids for this process alone, durably, before the first of them is used.

        Args:
            count: How many.
            floor: None below it.
        """
        with self.transaction() as connection:
            (start,) = connection.execute("SELECT next FROM ids").fetchone()
            # Records that waited in memory while their disk was exchanged have ids of the old one.
            (highest,) = connection.execute(
                "SELECT max(id) FROM inspections WHERE id < ?", (WITHOUT_DISK,)
            ).fetchone()
            start = max(start, floor, (highest or 0) + 1)
            connection.execute("UPDATE ids SET next = ?", (start + count,))
        return range(start, start + count)

    def add(self, inspections: Iterable[Inspection], counters: Collection[Counters] = ()) -> None:
        """Write inspections and counters, all or nothing.

        An inspection that is there already (same id) is brought up to date.
        """
        spans = {(entry.camera, entry.span): (entry.missed, entry.since) for entry in counters}
        with self.transaction() as connection:
            # Mostly no trigger was missed since the commit before: a fifth of its time.
            if spans != self._spans:
                begin_spans(connection, counters)
            count_records(connection, write_inspections(connection, inspections))
        self._spans = spans

    def inspection(self, inspection_id: int) -> Inspection | None:
        """One inspection, or None."""
        row = self._connection.execute(
            "SELECT * FROM inspections WHERE id = ?", (inspection_id,)
        ).fetchone()
        return inspection_of(row) if row else None

    def inspections(
        self,
        *,
        limit: int = 50,
        before_id: int | None = None,
        query: Query | None = None,
        **filters: Any,
    ) -> list[Inspection]:
        """Newest first, by the time of their exposure.

        Args:
            limit: At most this many, and at most `MAX_PAGE`.
            before_id: Only those that come behind this one: how a reader pages on.
            query: Which.
            filters: The fields of a `Query`, in its place.

        Raises:
            KeyError: There is no inspection `before_id`.
        """
        where, values = (query or Query(**filters)).where()
        if before_id is not None:
            where += " AND (captured_at, id) < (?, ?)"
            values += [self._captured_at(before_id), before_id]
        rows = self._connection.execute(
            f"SELECT * FROM inspections WHERE {where} "  # noqa: S608 - conditions are ours
            "ORDER BY captured_at DESC, id DESC LIMIT ?",
            (*values, max(1, min(limit, MAX_PAGE))),
        )
        return [inspection_of(row) for row in rows]

    def every(self, query: Query) -> Iterator[Inspection]:
        """All that the query asks for, newest first, however many.

        Read page by page: a reader who takes hours holds up no writer.
        """
        before_id: int | None = None
        while page := self.inspections(limit=MAX_PAGE, before_id=before_id, query=query):
            yield from page
            before_id = page[-1].id

    def _captured_at(self, inspection_id: int) -> float:
        row = self._connection.execute(
            "SELECT captured_at FROM inspections WHERE id = ?", (inspection_id,)
        ).fetchone()
        if row is None:
            raise KeyError(inspection_id)
        return float(row["captured_at"])

    def add_review(self, inspection_id: int, verdict: str, person: str, note: str) -> Review:
        """Append what a person says of an inspection; what was decided stays as it was.

        Raises:
            KeyError: There is no such inspection.
        """
        self._captured_at(inspection_id)
        review = Review(inspection_id, verdict, person, note, time.time())
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO reviews (inspection, verdict, person, note, at) "
                "VALUES (:inspection, :verdict, :person, :note, :at)",
                dataclasses.asdict(review),
            )
        return review

    def reviews(self, inspection_ids: Iterable[int]) -> dict[int, list[Review]]:
        """Reviews by inspection, oldest first; at most `MAX_PAGE` inspections are looked up."""
        ids = list(inspection_ids)[:MAX_PAGE]
        marks = ", ".join("?" * len(ids))
        found: dict[int, list[Review]] = {}
        statement = f"SELECT * FROM reviews WHERE inspection IN ({marks}) ORDER BY id"  # noqa: S608 - only marks
        for row in self._connection.execute(statement, ids):
            values = dict(row)
            del values["id"]
            found.setdefault(row["inspection"], []).append(Review(**values))
        return found

    def latest(self, camera: str) -> Inspection | None:
        """The camera's newest inspection, or None."""
        found = self.inspections(limit=1, camera=camera)
        return found[0] if found else None

    def tally(self, *, after_id: int) -> dict[tuple[Decision, Code], int]:
        """How many inspections of lines after an id had which decision and code.

        Uploads and ids that were given without the disk are left out.
        """
        rows = self._connection.execute(
            "SELECT decision, code, count(*) FROM inspections "
            "WHERE id > ? AND source <> 'upload' GROUP BY decision, code",
            (after_id,),
        )
        return {(Decision(decision), Code(code)): count for decision, code, count in rows}

    def counters(self, camera: str, span: str) -> Counters:
        """The camera's counts of a span, exactly those of the records that were committed."""
        return read_counters(self._connection, camera, span)


def _text(content: bytes) -> str:
    """A text that is damaged is no reason to show none of the others."""
    return content.decode(errors="replace")
