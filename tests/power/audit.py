"""What must be so after the plug was pulled: held against what was told before."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from plant import Ack, Told

from edge_app.records.database import Database
from edge_app.records.inspection import Inspection
from edge_app.records.query import Query
from edge_app.records.whole import is_whole

MARGIN_S = 5.0


@dataclass
class Books:
    """Counts over all cuts, and what was wrong.

    Args:
        thorough: Whether every page of the database is looked at.
        within_s: Answers that are older than that at the cut must be kept, whatever came.
    """

    thorough: bool = True
    within_s: float = 1.0
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    ids: set[int] = field(default_factory=set)

    def take(self, told: Told) -> None:
        """Take in what was answered: no id may ever come twice."""
        for ack in told.acks:
            if ack.id in self.ids:
                self.faults.append(f"id {ack.id} was told twice, the second time for {ack.part}")
            self.ids.add(ack.id)
        self.counts["answers"] += len(told.acks)

    def look(self, data_dir: Path, told: Told, cut_at: float, *, synced: bool) -> None:
        """Look at what is on the disk.

        Args:
            data_dir: What was found after the cut; nothing works on it.
            told: The last life's answers, up to the cut.
            cut_at: When it was, monotonic seconds.
            synced: Whether only what was synced had to outlive the cut: a power cut, not a kill.
        """
        database = Database(data_dir / "records.db")
        try:
            rows = {row.id: row for row in database.every(Query(since=told.since - MARGIN_S))}
            self._hold_counters(database, data_dir / "records.db")
            whole = not self.thorough or database.is_whole(lambda: False, 10_000)
        except sqlite3.Error as error:
            self.faults.append(f"the records can't be read: {error}")
            return
        finally:
            database.close()
        if not whole:
            self.faults.append("the database is damaged")
        self._compare(rows, told.acks, cut_at, synced=synced)
        self._pictures(data_dir, rows.values(), told)

    def _compare(
        self, rows: dict[int, Inspection], acks: Iterable[Ack], cut_at: float, *, synced: bool
    ) -> None:
        for ack in acks:
            row, old = rows.get(ack.id), cut_at - ack.at > self.within_s
            if row is None:
                self.counts["answers of the last second without a record"] += not old
                if old or (ack.promised and not synced):
                    self.faults.append(f"lost: {ack}, {cut_at - ack.at:.3f} s before the cut")
            elif (row.camera, row.part, str(row.decision)) != (ack.camera, ack.part, ack.decision):
                self.faults.append(f"told {ack}, kept {row}")
            else:
                self.counts["answers compared with their record"] += 1

    def _hold_counters(self, database: Database, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as plain:
            there = dict(plain.execute("SELECT camera, count(*) FROM inspections GROUP BY camera"))
        for camera, records in there.items():
            total = database.counters(camera, "life").total
            if total != records:
                self.faults.append(f"{camera}: {total} counted, {records} records")

    def _pictures(self, data_dir: Path, rows: Iterable[Inspection], told: Told) -> None:
        for row in rows:
            if row.part not in told.fired:
                continue
            path = data_dir / "images" / row.image
            if not row.image or not path.exists():
                self.counts["pictures not on the disk yet"] += bool(row.image)
            elif is_whole(path.read_bytes()):
                self.counts["pictures whole"] += 1
            else:
                self.counts["pictures torn, found out"] += 1
