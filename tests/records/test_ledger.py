"""What is counted of writing, and what is not written any more when it was enough."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_app.config import DataSettings
from edge_app.inference.judge import Decision
from edge_app.records.allowance import Allowance
from edge_app.records.archive import Archive
from edge_app.records.inspection import Inspection
from edge_app.records.keep import archive_and_ledger
from edge_app.records.ledger import Ledger, thread_bytes
from edge_app.records.recorder import Recorder
from edge_app.records.schema import PAGE_BYTES

MB = 1_000_000


def until(look: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until something is true."""
    ends_at = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < ends_at, "it did not come"
        time.sleep(0.01)


class Counts:
    """Stands for a program that writes, and for the clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bytes = 100
        self.date = "2026-11-01"

    def ledger(self) -> Ledger:
        """The ledger of a program that was started now."""
        purposes = {"pictures": lambda: self.bytes}
        return Ledger(
            self.folder / "written" / "cam1.json",
            purposes,
            proc=self.folder / "proc",
            date=lambda: self.date,
        )

    def kernel(self, written: int) -> None:
        """Let the kernel's account say so."""
        (self.folder / "proc").mkdir(exist_ok=True)
        (self.folder / "proc" / "io").write_text(f"rchar: 9\nwrite_bytes: {written}\n")


@pytest.fixture
def counts(tmp_path: Path) -> Counts:
    """A program that has written 100 bytes before anybody counted."""
    return Counts(tmp_path)


def test_a_day_goes_on_after_a_restart(counts: Counts) -> None:
    """What the program before had written today still counts, and what it wrote is no new."""
    before = counts.ledger()
    counts.bytes = 150
    before.stop()
    after = counts.ledger()
    counts.bytes = 170
    after.look()

    assert after.today("pictures") == 70
    assert after.to_json()["since_start"] == {"pictures": 20, "logs": 0, "kernel": 0}


def test_the_next_day_begins_at_nothing(counts: Counts) -> None:
    """And the day before stays to be seen."""
    ledger = counts.ledger()
    counts.bytes += 10
    ledger.look()
    counts.date = "2026-11-02"
    counts.bytes += 5
    ledger.look()

    days = ledger.to_json()["days"]
    assert isinstance(days, dict)
    assert {date: day["pictures"] for date, day in days.items()} == {
        "2026-11-01": 10,
        "2026-11-02": 5,
    }


@pytest.mark.parametrize("wrong", ["1970-01-01", "2038-01-19"])
def test_a_wrong_clock_has_a_day_of_its_own(counts: Counts, wrong: str) -> None:
    """When it is right again, today goes on where it was: no allowance is given twice."""
    ledger = counts.ledger()
    counts.bytes += 10
    ledger.look()
    counts.date = wrong
    counts.bytes += 1000
    ledger.look()
    counts.date = "2026-11-01"
    ledger.look()

    assert ledger.today("pictures") == 10


def test_the_days_are_bounded(counts: Counts) -> None:
    """Those that were not seen for longest are forgotten."""
    ledger = counts.ledger()
    for number in range(100):
        counts.date = f"day {number}"
        ledger.look()
    ledger.stop()

    assert len((counts.folder / "written" / "cam1.json").read_text()) < 5000


def test_a_ledger_that_can_not_be_read_begins_anew(counts: Counts) -> None:
    """Nobody is kept from working by it."""
    (counts.folder / "written").mkdir()
    (counts.folder / "written" / "cam1.json").write_text('{"2026-11-0')

    assert counts.ledger().today("pictures") == 0


def test_the_kernel_is_asked_too(counts: Counts) -> None:
    """Its figure for the whole process stands beside the program's own."""
    counts.kernel(4096)
    ledger = counts.ledger()
    counts.kernel(4096 * 3)
    ledger.look()

    assert ledger.today("kernel") == 8192


def test_the_log_is_counted_while_the_program_runs(counts: Counts) -> None:
    """Its words, from the start to the stop."""
    ledger = counts.ledger()
    ledger.start()
    logging.getLogger("lineside").warning("twelve chars")
    ledger.stop()
    logging.getLogger("lineside").warning("later")

    assert ledger.today("logs") == 12


def test_records_are_counted_by_what_their_thread_writes(tmp_path: Path) -> None:
    """A hundred records, each in a commit of its own: at least a page of the log file each."""
    recorder = Recorder(tmp_path / "records.db")
    recorder.start()
    for number in range(1, 101):
        assert recorder.add(Inspection(id=number, camera="cam1", source="plc")).wait(5)
    counted = thread_bytes("recorder", "sync")
    recorder.stop()

    assert 100 * PAGE_BYTES <= counted < 100 * PAGE_BYTES * 40


def test_a_thread_that_is_not_there_wrote_nothing() -> None:
    """Nor does it disturb."""
    assert threading.active_count() >= 1
    assert thread_bytes("nobody") == 0


def test_beyond_the_first_limit_only_ok_parts_go_without() -> None:
    """Beyond the second every part does."""
    spent = 0
    allowance = Allowance(10 * MB, 20 * MB, lambda: spent)
    bad = [Decision.NG, Decision.REVIEW, Decision.NONE]

    assert all(map(allowance.lets, Decision))
    assert allowance.said == ""
    spent = 10 * MB
    assert not allowance.lets(Decision.OK)
    assert all(map(allowance.lets, bad))
    assert allowance.said == "10 MB of pictures today: OK parts' are not kept"
    spent = 20 * MB
    assert not any(map(allowance.lets, Decision))
    assert "none is kept until tomorrow" in allowance.said


def test_without_limits_everything_may_be_written() -> None:
    """0 is no bound."""
    assert all(map(Allowance(0, 0, lambda: 10**15).lets, Decision))


def keeper(folder: Path) -> tuple[Archive, Ledger]:
    """An archive whose day is soon used up."""
    limits = DataSettings(
        images_max_mb=100_000,
        images_min_free_mb=0,
        keep_ok_one_in=1,
        images_day_mb=1,
        images_day_max_mb=3,
    )
    return archive_and_ledger(folder, "cam1", limits, sharers=1000)


def test_a_used_up_day_is_told_once_and_holds_over_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive asks its own ledger what was written today."""
    monkeypatch.setattr("edge_app.records.archive.TIDY_S", 0.01)
    archive, ledger = keeper(tmp_path)
    archive.start()
    assert archive.wants(Decision.OK)
    archive.add(1, lambda: b"x" * 1500)
    until(lambda: archive.limited)
    assert not archive.wants(Decision.OK)
    assert archive.wants(Decision.NG)
    archive.add(2, lambda: b"x" * 1500)
    until(lambda: archive.exhausted)
    archive.stop()
    ledger.stop()

    assert not keeper(tmp_path)[0].wants(Decision.NG)
    told = [record.message for record in caplog.records if "pictures today" in record.message]
    assert len(told) == len(set(told)) >= 1
