"""Inspections in SQLite, shared by the line and the app.

Write-ahead logging lets the app read while the line writes; `synchronous=FULL` makes
a commit survive a power cut. Each thread opens its own `Database`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_app.inference.judge import Code, Decision
from edge_app.records.inspection import Inspection

BUSY_MS = 2000
"""The other process holds the write lock for one commit; longer means a sick disk."""

MAX_PAGE = 500

SCHEMA = """
CREATE TABLE IF NOT EXISTS inspections (
    id INTEGER PRIMARY KEY,
    captured_at REAL NOT NULL,
    camera TEXT NOT NULL,
    source TEXT NOT NULL,
    trigger INTEGER NOT NULL,
    part TEXT NOT NULL,
    job INTEGER NOT NULL,
    model TEXT NOT NULL,
    decision TEXT NOT NULL,
    code INTEGER NOT NULL,
    reason TEXT NOT NULL,
    label TEXT NOT NULL,
    label_index INTEGER NOT NULL,
    score REAL NOT NULL,
    scores TEXT NOT NULL,
    laps_ms TEXT NOT NULL,
    total_ms REAL NOT NULL,
    late_decision TEXT NOT NULL,
    late_ms REAL NOT NULL,
    warning INTEGER NOT NULL,
    image TEXT NOT NULL,
    test INTEGER NOT NULL,
    job_crc INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS inspections_decision ON inspections (decision, id);
CREATE INDEX IF NOT EXISTS inspections_part ON inspections (part, id) WHERE part <> '';
CREATE INDEX IF NOT EXISTS inspections_camera ON inspections (camera, id);
CREATE TABLE IF NOT EXISTS ids (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL);
INSERT OR IGNORE INTO ids VALUES (1, 1);
CREATE TABLE IF NOT EXISTS counters (
    camera TEXT NOT NULL,
    span TEXT NOT NULL CHECK (span IN ('shift', 'life')),
    ok INTEGER NOT NULL DEFAULT 0,
    ng INTEGER NOT NULL DEFAULT 0,
    review INTEGER NOT NULL DEFAULT 0,
    none INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0,
    since REAL NOT NULL,
    last_id INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (camera, span)
) STRICT;
"""

COLUMNS = tuple(entry.name for entry in dataclasses.fields(Inspection))


@dataclass(slots=True)
class Counters:
    """How many inspections of a camera had which verdict.

    Args:
        camera: Whose.
        span: `shift` or `life`.
        ok: Parts that were OK; `ng`, `review` and `none` likewise.
        missed: Triggers that were refused.
        since: Wall clock of the start.
        last_id: The newest inspection that is counted.
    """

    camera: str
    span: str
    ok: int = 0
    ng: int = 0
    review: int = 0
    none: int = 0
    missed: int = 0
    since: float = field(default_factory=time.time)
    last_id: int = 0

    @property
    def total(self) -> int:
        """Inspections answered: the sum of the four verdicts, always."""
        return self.ok + self.ng + self.review + self.none

    def count(self, decision: Decision, inspection_id: int) -> None:
        """Count one answer."""
        name = decision.name.lower()
        setattr(self, name, getattr(self, name) + 1)
        self.last_id = inspection_id


class Database:
    """One connection to the records, for one thread.

    Args:
        path: The database file; its folder is made if absent.

    Raises:
        sqlite3.Error: The disk or the file is not usable.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(SCHEMA)
            self._add_new_columns()
        except sqlite3.Error:
            self._connection.close()
            raise

    def _add_new_columns(self) -> None:
        """Records of an older Lineside lack what came later."""
        known = {row["name"] for row in self._connection.execute("PRAGMA table_info(inspections)")}
        if "job_crc" not in known:
            self._connection.execute(
                "ALTER TABLE inspections ADD COLUMN job_crc INTEGER NOT NULL DEFAULT 0"
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; takes the write lock at once, so that it can't fail half-way."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def lease_ids(self, count: int) -> range:
        """Reserve ids for this process alone, durably, before the first of them is used."""
        with self.transaction() as connection:
            (start,) = connection.execute("SELECT next FROM ids").fetchone()
            connection.execute("UPDATE ids SET next = ?", (start + count,))
        return range(start, start + count)

    def add(self, inspections: Iterable[Inspection], counters: Iterable[Counters] = ()) -> None:
        """Write inspections and counters, all or nothing.

        An inspection that is there already (same id) is brought up to date.
        """
        marks = ", ".join("?" * len(COLUMNS))
        statement = f"INSERT OR REPLACE INTO inspections ({', '.join(COLUMNS)}) VALUES ({marks})"  # noqa: S608 - names and marks are ours
        with self.transaction() as connection:
            connection.executemany(statement, map(_row, inspections))
            connection.executemany(
                "INSERT OR REPLACE INTO counters "
                "(camera, span, ok, ng, review, none, missed, since, last_id) VALUES "
                "(:camera, :span, :ok, :ng, :review, :none, :missed, :since, :last_id)",
                map(dataclasses.asdict, counters),
            )

    def inspection(self, inspection_id: int) -> Inspection | None:
        """One inspection, or None."""
        row = self._connection.execute(
            "SELECT * FROM inspections WHERE id = ?", (inspection_id,)
        ).fetchone()
        return _inspection(row) if row else None

    def inspections(
        self,
        *,
        limit: int = 50,
        before_id: int | None = None,
        decision: str = "",
        part: str = "",
        camera: str = "",
        job: int | None = None,
        since: float | None = None,
        until: float | None = None,
    ) -> list[Inspection]:
        """Newest first, by id.

        Args:
            limit: At most this many, and at most `MAX_PAGE`.
            before_id: Only ids below this one: how a reader pages on.
            decision: OK, NG, REVIEW or NONE; empty for all.
            part: Exactly this part id; empty for all.
            camera: Exactly this camera; empty for all.
            job: Exactly this job.
            since: Exposed at or after this wall-clock time.
            until: Exposed before this wall-clock time.
        """
        conditions = {
            "id < ?": before_id,
            "decision = ?": decision or None,
            "part = ?": part or None,
            "camera = ?": camera or None,
            "job = ?": job,
            "captured_at >= ?": since,
            "captured_at < ?": until,
        }
        used = {text: value for text, value in conditions.items() if value is not None}
        where = " AND ".join(used) or "1"
        rows = self._connection.execute(
            f"SELECT * FROM inspections WHERE {where} ORDER BY id DESC LIMIT ?",  # noqa: S608 - conditions are ours
            (*used.values(), max(1, min(limit, MAX_PAGE))),
        )
        return [_inspection(row) for row in rows]

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
        """The camera's counts of a span, exact to the last inspection on disk."""
        row = self._connection.execute(
            "SELECT * FROM counters WHERE camera = ? AND span = ?", (camera, span)
        ).fetchone()
        stored = Counters(**row) if row else Counters(camera, span)
        # A shot is committed before it is counted: add what was committed since.
        found = self._connection.execute(
            "SELECT lower(decision) AS name, count(*) AS count, max(id) AS last_id "
            "FROM inspections WHERE camera = ? AND id > ? AND NOT test GROUP BY decision",
            (camera, stored.last_id),
        )
        for name, count, last_id in found.fetchall():
            setattr(stored, name, getattr(stored, name) + count)
            stored.last_id = max(stored.last_id, last_id)
        return stored


def _row(inspection: Inspection) -> list[Any]:
    values = {
        "decision": str(inspection.decision),
        "code": int(inspection.code),
        "warning": int(inspection.warning),
        "scores": json.dumps(dict(inspection.scores)),
        "laps_ms": json.dumps(dict(inspection.laps_ms)),
        "test": int(inspection.test),
    }
    return [values.get(name, getattr(inspection, name)) for name in COLUMNS]


def _inspection(row: sqlite3.Row) -> Inspection:
    values = dict(row)
    return dataclasses.replace(
        Inspection(**values),
        decision=Decision(values["decision"]),
        code=Code(values["code"]),
        warning=Code(values["warning"]),
        scores=json.loads(values["scores"]),
        laps_ms=json.loads(values["laps_ms"]),
        test=bool(values["test"]),
    )
