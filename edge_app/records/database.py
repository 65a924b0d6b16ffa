"""Inspections in SQLite, shared by the line and the app.

Write-ahead logging lets the app read while the line writes; `synchronous=FULL` makes
a commit survive a power cut. Each thread opens its own `Database`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
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
    test INTEGER NOT NULL
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
    PRIMARY KEY (camera, span)
) STRICT;
"""

COLUMNS = (
    "id captured_at camera source trigger part job model decision code reason label label_index "
    "score scores laps_ms total_ms late_decision late_ms warning image test"
).split()


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
        except sqlite3.Error:
            self._connection.close()
            raise

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

    def add(self, inspections: Iterable[Inspection]) -> None:
        """Write inspections; one that is there already (same id) is brought up to date."""
        marks = ", ".join("?" * len(COLUMNS))
        statement = f"INSERT OR REPLACE INTO inspections ({', '.join(COLUMNS)}) VALUES ({marks})"  # noqa: S608 - names and marks are ours
        with self.transaction() as connection:
            connection.executemany(statement, map(_row, inspections))

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

    def counters(self, camera: str, span: str) -> dict[str, Any]:
        """The camera's counts of a span (`shift` or `life`); zeros if nothing was counted."""
        row = self._connection.execute(
            "SELECT ok, ng, review, none, missed, since FROM counters "
            "WHERE camera = ? AND span = ?",
            (camera, span),
        ).fetchone()
        return dict(row) if row else dict.fromkeys(("ok", "ng", "review", "none", "missed"), 0)

    def save_counters(self, camera: str, span: str, counts: dict[str, Any]) -> None:
        """Keep a camera's counts across restarts."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO counters (camera, span, ok, ng, review, none, missed, since)"
                " VALUES (:camera, :span, :ok, :ng, :review, :none, :missed, :since)",
                counts | {"camera": camera, "span": span},
            )


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
    return replace(
        Inspection(**values),
        decision=Decision(values["decision"]),
        code=Code(values["code"]),
        warning=Code(values["warning"]),
        scores=json.loads(values["scores"]),
        laps_ms=json.loads(values["laps_ms"]),
        test=bool(values["test"]),
    )
