"""Watches memory, open files and counters, and settles accounts with the records at the end."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.processes import cpu_s, descriptors, resident_mb
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.stage import Stage
from edge_app.inference.judge import Code
from edge_app.lines import LineDown, Lines
from edge_app.records.database import Database

PERIOD_S = 2.0
LONG_S = 60.0
"""A process that lived for less says nothing about growth."""

GROWTH_MB, GROWTH_SHARE, GROWTH_FILES = 10.0, 0.10, 10
NAMES = ("app", "cam1", "cam2")
SPANS = ("ok", "ng", "review", "none")


@dataclass(slots=True)
class Life:
    """One process from start to end."""

    name: str
    pid: int
    at_s: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    cpu_s: float = 0.0

    def halves(self, values: list[float] | list[int]) -> tuple[float, float]:
        """Medians of the second and the last quarter: the first one is for warming up."""
        quarter = len(values) // 4
        return statistics.median(values[quarter : 2 * quarter]), statistics.median(
            values[-quarter:]
        )


class Watch:
    """Looks every other second.

    Args:
        stage: What is watched.
        ledger: Where violations go.
    """

    def __init__(self, stage: Stage, ledger: Ledger) -> None:
        self._stage, self._ledger = stage, ledger
        self._lines = Lines(stage.settings.socket_dir, ["cam1", "cam2"])
        self._totals: dict[str, int] = {}
        self.lives: dict[int, Life] = {}

    def run(self) -> None:
        """Until the end."""
        while not self._stage.stopping.wait(PERIOD_S):
            for name in NAMES:
                self._look(name)
            for name in ("cam1", "cam2"):
                self._count(name)

    def _look(self, name: str) -> None:
        pid = self._stage.pid(name)
        if pid is None:
            return
        mb, files = resident_mb(pid), descriptors(pid)
        if not mb or not files:
            return
        life = self.lives.setdefault(pid, Life(name, pid))
        life.at_s.append(self._ledger.at_s())
        life.mb.append(mb)
        life.files.append(files)
        life.cpu_s = cpu_s(pid)

    def _count(self, name: str) -> None:
        try:
            status = self._lines.ask(name, "GET", "/status").json()
        except (LineDown, ValueError):
            return
        life: dict[str, Any] = status["life"]
        total = sum(life[span] for span in SPANS)
        if total != life["total"]:
            self._ledger.violate("counters", f"{name}: {life}")
        if total < self._totals.get(name, 0):
            self._ledger.violate("counters", f"{name}: fell from {self._totals[name]} to {life}")
        self._totals[name] = total

    def judge_growth(self) -> None:
        """Whether what lived long enough grew."""
        for life in self.lives.values():
            if len(life.at_s) < 8 or life.at_s[-1] - life.at_s[0] < LONG_S:
                continue
            early, late = life.halves(life.mb)
            if late > early * (1 + GROWTH_SHARE) and late > early + GROWTH_MB:
                self._ledger.violate("memory", f"{life.name}: {early:.1f} to {late:.1f} MB")
            first, last = life.halves(life.files)
            if last > first + GROWTH_FILES:
                self._ledger.violate("descriptors", f"{life.name}: {first:.0f} to {last:.0f}")


def settle_accounts(stage: Stage, ledger: Ledger) -> None:
    """After all programs ended: the records against what the PLC was told, and the counters."""
    database = Database(stage.data / "records.db")
    try:
        for answer in ledger.answers.values():
            row = database.inspection(answer.id)
            if row is None:
                if answer.code == Code.STORAGE:
                    ledger.count("answers with a storage warning that are not on disk")
                else:
                    ledger.violate("record-missing", str(answer))
                continue
            said = (row.trigger, row.part, str(row.decision))
            if said != (answer.n, answer.part, answer.decision):
                ledger.violate("record-differs", f"{answer}, on disk {said}")
            ledger.count("records compared")
        for name in ("cam1", "cam2"):
            _settle_counters(database, name, ledger)
    finally:
        database.close()


def _settle_counters(database: Database, name: str, ledger: Ledger) -> None:
    life = database.counters(name, "life")
    rows = 0
    before: int | None = None
    tally = dict.fromkeys(SPANS, 0)
    while found := database.inspections(limit=500, before_id=before, camera=name):
        for row in found:
            rows += 1
            if not row.test:
                tally[str(row.decision).lower()] += 1
        before = found[-1].id
    counted = {span: getattr(life, span) for span in SPANS}
    ledger.count(f"records of {name}", rows)
    if counted != tally:
        ledger.violate("counters", f"{name}: counted {counted}, on disk {tally}")


def stop_all(stage: Stage, ledger: Ledger, within_s: float = 4.0) -> None:
    """Tell `lineside up` to end; it and all its programs must."""
    if stage.up is None:
        return
    pids = {name: stage.pid(name) for name in NAMES}
    began = time.monotonic()
    stage.up.process.terminate()
    try:
        stage.up.process.wait(within_s)
    except Exception as error:  # noqa: BLE001 - whatever it is, the soak must go on to its report
        ledger.violate("stop", f"lineside up: {error!r}")
    left = [name for name, pid in pids.items() if pid and descriptors(pid)]
    if left:
        ledger.violate("stop", f"{', '.join(left)} outlived lineside up")
    ledger.note(f"stopped in {time.monotonic() - began:.1f} s")
    stage.up.stop()
