"""What a live view asks for several times a second: small, and read once for all who look."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from edge_app.lines import Lines
from edge_app.records.damage import notice, report
from edge_app.records.database import Database
from edge_app.records.inspection import Inspection
from edge_app.surroundings import Surroundings

KEPT = 120
"""Inspections a live view can show: the filmstrip and the latency chart."""

REREAD_S = 1.0
"""Even when the line names no newer inspection: a record may be completed later."""


class Feed:
    """The state of a line together with its newest inspections.

    Twenty open pages cost one look into the records, not twenty.

    Args:
        lines: The lines, as last heard.
        data_dir: Where the records are.
        surroundings: The computer itself.
    """

    def __init__(self, lines: Lines, data_dir: Path, surroundings: Surroundings) -> None:
        self._lines = lines
        self._database_path = data_dir / "records.db"
        self.surroundings = surroundings
        self._lock = threading.Lock()
        self._newest: dict[str, tuple[float, list[Inspection]]] = {}
        self._failing = ""

    def to_json(self, camera: str, after_id: int) -> dict[str, Any]:
        """Everything a live view shows of one camera.

        Args:
            camera: Which; must be one of `lines.names`.
            after_id: Only inspections newer than this one, newest first.
        """
        state = self._lines.state(camera).to_json()
        inspections = self._inspections(camera, _last_id(state))
        return {
            "time": time.time(),
            "camera": camera,
            "line": state,
            "lines": {name: self._lines.state(name).to_json()["up"] for name in self._lines.names},
            "inspections": [i.to_json() for i in inspections if i.id > after_id],
            "records": self._failing or "ok",
            "records_notice": notice(self._database_path.parent),
            "box": self.surroundings.to_json(),
        }

    def _inspections(self, camera: str, last_id: int) -> list[Inspection]:
        with self._lock:
            read_at, known = self._newest.get(camera, (0.0, []))
            behind = not known or known[0].id < last_id
            if behind or time.monotonic() - read_at > REREAD_S:
                known = self._read(camera, last_id, known)
                self._newest[camera] = (time.monotonic(), known)
            return known

    def _read(self, camera: str, last_id: int, known: list[Inspection]) -> list[Inspection]:
        try:
            database = Database(self._database_path)
        except (sqlite3.Error, OSError) as error:
            self._failing = f"the records can't be read: {error}"
            return known
        try:
            found = database.inspections(limit=KEPT, camera=camera)
            # Records come by their time; after a clock was set back the newest is elsewhere.
            newest = database.inspection(last_id)
        except sqlite3.Error as error:
            self._failing = f"the records can't be read: {error}"
            report(self._database_path, error)
            return known
        finally:
            database.close()
        self._failing = ""
        by_id = {i.id: i for i in [*known, *found, *([newest] if newest else [])]}
        return sorted(by_id.values(), key=lambda inspection: -inspection.id)[:KEPT]


def _last_id(state: dict[str, Any]) -> int:
    last = state["status"].get("last") or {}
    return int(last.get("id") or 0)
