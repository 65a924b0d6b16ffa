"""Records as tests make them, and what became of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from edge_app.records.database import Database
from edge_app.records.inspection import Inspection


def until(look: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait until something is true."""
    ends_at = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < ends_at, "it did not come"
        time.sleep(0.01)


def inspection(number: int, **fields: object) -> Inspection:
    """One inspection."""
    return Inspection(id=number, camera="cam1", source="plc", **fields)  # type: ignore[arg-type]


def stored(path: Path) -> list[Inspection]:
    """All that is in the database, oldest first."""
    database = Database(path)
    try:
        return list(reversed(database.inspections(limit=500)))
    finally:
        database.close()
