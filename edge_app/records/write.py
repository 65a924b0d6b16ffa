"""Inspections written to the database so that none ever takes another one's place."""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable

from edge_app.inference.judge import Decision
from edge_app.records.inspection import Inspection
from edge_app.records.row import COLUMNS, row_of

WRITE = (
    f"INSERT OR REPLACE INTO inspections ({', '.join(COLUMNS)}) "  # noqa: S608 - names and marks are ours
    f"VALUES ({', '.join('?' * len(COLUMNS))})"
)

COUNTED = frozenset(map(str, Decision))
"""A cell that is damaged was counted as nothing."""

SAME_WITHIN_S = 600.0
"""A record is completed soon after it was begun; what is further apart is another part's."""

log = logging.getLogger(__name__)


def write_inspections(
    connection: sqlite3.Connection, inspections: Iterable[Inspection]
) -> Counter[tuple[str, str]]:
    """Write them within a transaction; what that changes, by camera and decision."""
    changes: Counter[tuple[str, str]] = Counter()
    for given in inspections:
        inspection, former = _placed(connection, given)
        connection.execute(WRITE, row_of(inspection))
        if not inspection.test:
            changes[inspection.camera, str(inspection.decision)] += 1
            if former in COUNTED:
                changes[inspection.camera, former] -= 1
    return changes


def _placed(connection: sqlite3.Connection, given: Inspection) -> tuple[Inspection, str | None]:
    """Where it goes, and what was decided by the record that it brings up to date."""
    found = _found(connection, given.id)
    if found is None or _is_same(found, given):
        return given, found["decision"] if found else None
    # Ids that were given without a disk can meet after a step of the clock.
    twin = connection.execute(
        "SELECT id FROM inspections WHERE camera = ? AND captured_at = ? AND trigger = ?",
        (given.camera, given.captured_at, given.trigger),
    ).fetchone()
    if twin is None:
        (number,) = connection.execute("SELECT next FROM ids").fetchone()
        connection.execute("UPDATE ids SET next = next + 1")
    else:
        number = twin["id"]
    log.error(
        "inspection %d of %s is kept as %d: another has its id", given.id, given.camera, number
    )
    former = _found(connection, number)
    return dataclasses.replace(given, id=number), former["decision"] if former else None


def _found(connection: sqlite3.Connection, inspection_id: int) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        "SELECT camera, source, trigger, part, captured_at, decision FROM inspections WHERE id = ?",
        (inspection_id,),
    ).fetchone()
    return found


def _is_same(found: sqlite3.Row, given: Inspection) -> bool:
    names = ("camera", "source", "trigger", "part")
    return (
        all(found[name] == getattr(given, name) for name in names)
        and abs(found["captured_at"] - given.captured_at) < SAME_WITHIN_S
    )
