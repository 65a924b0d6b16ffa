"""The soak's judgement: what breaks an invariant, and what is only counted."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.soak import report
from benchmarks.soak.actors import PlcActor
from benchmarks.soak.ledger import Answer, Ledger
from benchmarks.soak.stage import Stage
from benchmarks.soak.watch import Life, Watch, settle_accounts

from camera.plc.record import PlcDecision, PlcRecord
from edge_app.config import CameraSettings, DataSettings, Settings
from edge_app.inference.judge import Code, Decision
from edge_app.records.database import Database
from edge_app.records.inspection import Inspection

OK, NG, NONE = PlcDecision.OK, PlcDecision.NG, PlcDecision.NONE


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A stage on which nothing plays."""
    cameras = {"cam1": CameraSettings(), "cam2": CameraSettings()}
    settings = Settings(DataSettings(dir=str(tmp_path)), cameras=cameras)
    folder = tmp_path / "camera"
    folder.mkdir()
    truth = {"good.jpg": "OK", "bad.jpg": "NG"}
    return Stage(tmp_path, tmp_path / "c.toml", settings, tmp_path, truth, folder, (1, 2), False)


@pytest.fixture
def judge(stage: Stage) -> Callable[..., Ledger]:
    """Lets a PLC judge one answer to trigger 7."""

    def judged(photo: str, record: PlcRecord, *, bare: bool = False) -> Ledger:
        ledger = Ledger()
        actor = PlcActor(stage, ledger, random.Random(1))  # noqa: S311 - no secret
        actor._n = 7
        actor._judge(record, "S1", photo, 5.0, bare=bare)
        return ledger

    return judged


@pytest.mark.parametrize(
    ("photo", "record", "bare", "broken"),
    [
        ("good.jpg", PlcRecord(n=7, id=1, decision=OK), False, set()),
        ("bad.jpg", PlcRecord(n=7, id=1, decision=NG), False, set()),
        ("good.jpg", PlcRecord(n=7, id=1, decision=NONE, code=23), False, set()),
        ("good.jpg", PlcRecord(n=7, id=0, decision=NONE, code=20), False, set()),
        ("bad.jpg", PlcRecord(n=7, id=1, decision=OK), False, {"false-ok"}),
        ("good.jpg", PlcRecord(n=7, id=1, decision=NG), False, {"wrong-verdict"}),
        ("good.jpg", PlcRecord(n=6, id=1, decision=OK), False, {"wrong-number"}),
        ("good.jpg", PlcRecord(n=7, id=1, decision=OK, code=23), False, {"ok-with-code"}),
        ("good.jpg", PlcRecord(n=7, id=1, decision=OK, code=50), False, set()),
        ("good.jpg", PlcRecord(n=7, id=1, decision=OK), True, {"ok-without-part"}),
        ("good.jpg", PlcRecord(n=7, id=1, decision=NONE, code=30), True, set()),
    ],
)
def test_answer_is_held_against_its_part(
    judge: Callable[..., Ledger], photo: str, record: PlcRecord, bare: bool, broken: set[str]
) -> None:
    """Only a wrong answer breaks an invariant; none, late or refused never does."""
    assert set(judge(photo, record, bare=bare).broken) == broken


def test_id_may_not_stand_for_two_parts() -> None:
    """The same answer read twice is one part; another part under its id is a violation."""
    ledger = Ledger()
    ledger.answered(Answer(1, 7, "S1", "OK", 0), 5.0)
    ledger.answered(Answer(1, 7, "S1", "OK", 0), 5.0)
    assert ledger.whole

    ledger.answered(Answer(1, 8, "S2", "OK", 0), 5.0)

    assert ledger.broken == {"id-twice": 1}


def _record(stage: Stage, *inspections: Inspection) -> None:
    database = Database(stage.data / "records.db")
    database.add(inspections)
    database.close()


def _inspection(number: int, decision: Decision) -> Inspection:
    return Inspection(
        number, "cam1", "plc", trigger=number, part=f"S{number}", decision=decision, code=Code.FINE
    )


def test_accounts_settle_where_disk_and_plc_agree(stage: Stage) -> None:
    """An answer that is on disk as it was told is counted as compared."""
    _record(stage, _inspection(1, Decision.OK))
    ledger = Ledger()
    ledger.answered(Answer(1, 1, "S1", "OK", 0), 5.0)

    settle_accounts(stage, ledger)

    assert ledger.whole
    assert ledger.counts["records compared"] == 1


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        (Answer(1, 1, "S1", "NG", 0), {"record-differs"}),
        (Answer(1, 1, "other", "OK", 0), {"record-differs"}),
        (Answer(2, 2, "S2", "OK", 0), {"record-missing"}),
        (Answer(2, 2, "S2", "OK", int(Code.STORAGE)), set()),
    ],
)
def test_accounts_show_what_is_not_on_disk(stage: Stage, answer: Answer, broken: set[str]) -> None:
    """An answer that is not on disk as told is a violation, unless it came with the warning."""
    _record(stage, _inspection(1, Decision.OK))
    ledger = Ledger()
    ledger.answered(answer, 5.0)

    settle_accounts(stage, ledger)

    assert set(ledger.broken) == broken


def test_counters_must_be_the_sum_of_the_records(stage: Stage) -> None:
    """A counter that counted one part too many is found."""
    _record(stage, _inspection(1, Decision.OK))
    with contextlib.closing(sqlite3.connect(stage.data / "records.db")) as database, database:
        database.execute("UPDATE counters SET ok = 2")
    ledger = Ledger()

    settle_accounts(stage, ledger)

    assert ledger.broken == {"counters": 1}


@pytest.mark.parametrize(
    ("grow_mb", "grow_files", "seconds", "broken"),
    [
        (0.0, 0, 200, set()),
        (0.5, 0, 200, {"memory"}),
        (0.0, 1, 200, {"descriptors"}),
        (0.5, 1, 20, set()),
    ],
)
def test_growth_is_judged_over_a_long_life(
    stage: Stage, grow_mb: float, grow_files: int, seconds: int, broken: set[str]
) -> None:
    """What grows steadily is found; a short life says nothing."""
    ledger = Ledger()
    watch = Watch(stage, ledger)
    moments = range(0, seconds, 2)
    watch.lives[1] = Life(
        "app",
        1,
        [float(at) for at in moments],
        [50 + grow_mb * at for at in moments],
        [20 + grow_files * at // 4 for at in moments],
    )

    watch.judge_growth()

    assert set(ledger.broken) == broken


def test_report_says_first_whether_anything_broke(stage: Stage, tmp_path: Path) -> None:
    """The report names each invariant with its count, and the violations word for word."""
    ledger = Ledger()
    ledger.violate("false-ok", "S9 (bad.jpg)")
    meta: dict[str, Any] = {
        "minutes": 1.0,
        "at": "now",
        "version": "abc",
        "seed": 1,
        "model": "demo",
        "parts": 2,
        "disk": "",
        "machine": {"processor": "A CPU", "cores": 2, "kernel": "6"},
    }

    page = report.write(tmp_path / "out", report.build(ledger, Watch(stage, ledger), meta))

    text = page.read_text()
    assert "**Invariants broke.**" in text
    assert "| no part that is not good is answered OK | **1** |" in text
    assert "S9 (bad.jpg)" in text
