"""Counts the uploads by their verdict, over restarts."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from pathlib import Path

from edge_app.records.counters import Counters
from edge_app.records.database import Database
from edge_app.records.inspection import Inspection
from edge_app.upload import CAMERA


class Tally:
    """The uploads' counters; they are kept with the records they count.

    Args:
        path: The database file, from which they go on.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            database = Database(path)
        except (sqlite3.Error, OSError):
            self._life = Counters(CAMERA, "life")  # the recorder says what is wrong
            return
        try:
            self._life = database.counters(CAMERA, "life")
        finally:
            database.close()

    def count(self, inspection: Inspection) -> None:
        """Count one answer."""
        with self._lock:
            self._life.count(inspection.decision)

    def counters(self) -> tuple[Counters]:
        """For the recorder: as they are now."""
        with self._lock:
            return (dataclasses.replace(self._life),)

    def to_json(self) -> dict[str, object]:
        """The form the API shows."""
        (life,) = self.counters()
        return {"life": dataclasses.asdict(life) | {"total": life.total}}
