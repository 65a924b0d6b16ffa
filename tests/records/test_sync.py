"""Commits that don't wait for the disk: on it within the time that the setting gives."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_app.records.database import Database
from edge_app.records.inspection import Inspection
from edge_app.records.recorder import Recorder
from edge_app.records.sync import LogFile, Sync


def until(look: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait until something is true."""
    ends_at = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < ends_at, "it did not come"
        time.sleep(0.005)


def inspection(number: int) -> Inspection:
    """One inspection."""
    return Inspection(id=number, camera="cam1", source="plc")


class Disk:
    """A disk whose syncs are counted, and fail or take their time when told."""

    def __init__(self) -> None:
        self.syncs = 0
        self.error: OSError | None = None
        self.free = threading.Event()
        self.free.set()

    def fdatasync(self, descriptor: int) -> None:
        """In place of the kernel's."""
        self.free.wait(10)
        if self.error is not None:
            raise self.error
        os.fsync(descriptor)
        self.syncs += 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The log's disk."""
    disk = Disk()
    monkeypatch.setattr(LogFile, "fdatasync", staticmethod(disk.fdatasync))
    monkeypatch.setattr("edge_app.records.recorder.RETRY_S", 0.2)
    monkeypatch.setattr("edge_app.records.recorder.COUNTERS_S", 0.1)
    return disk


@pytest.fixture
def recorder(tmp_path: Path, disk: Disk) -> Iterator[Recorder]:
    """One that syncs within a tenth of a second."""
    recorder = Recorder(tmp_path / "records.db", sync_within_ms=100)
    recorder.start()
    yield recorder
    disk.free.set()
    recorder.stop()


def test_many_commits_share_one_sync(recorder: Recorder, disk: Disk) -> None:
    """Each is there at once for every program, and on the disk soon."""
    for number in range(1, 51):
        assert recorder.add(inspection(number)).wait(5)
    until(lambda: disk.syncs)

    assert disk.syncs < 50
    assert recorder.failing == ""


def test_a_commit_does_not_wait_for_a_stuck_disk(
    recorder: Recorder, disk: Disk, tmp_path: Path
) -> None:
    """The record is there for every program; that the disk is late is said, until it is not."""
    disk.free.clear()

    assert recorder.add(inspection(1)).wait(5)
    until(lambda: recorder.failing)
    assert "longer than 100 ms" in recorder.failing
    assert recorder.add(inspection(2)).wait(5)
    reader = Database(tmp_path / "records.db")
    assert len(reader.inspections()) == 2
    reader.close()

    disk.free.set()
    until(lambda: not recorder.failing)
    assert disk.syncs >= 1


def test_a_failed_sync_is_said_and_made_good(
    recorder: Recorder, disk: Disk, tmp_path: Path
) -> None:
    """A later sync proves nothing: the log is begun anew, and all since the last good one."""
    disk.error = OSError(5, "Input/output error")
    assert recorder.add(inspection(1)).wait(5)
    until(lambda: "Input/output error" in recorder.failing)
    assert "the disk fails" in recorder.failing
    assert "check it and mount it again" in recorder.failing

    disk.error = None
    until(lambda: not recorder.failing)

    # What a cut would leave if nothing of the log had reached the disk.
    shutil.copy(tmp_path / "records.db", tmp_path / "after.db")
    left = Database(tmp_path / "after.db")
    assert [row.id for row in left.inspections()] == [1]
    left.close()


def test_what_was_committed_since_the_last_good_sync_is_written_anew(
    recorder: Recorder, disk: Disk, tmp_path: Path
) -> None:
    """Also into a database that has none of it: the disk was exchanged. None comes twice."""
    disk.error = OSError(5, "Input/output error")
    for number in range(1, 6):
        assert recorder.add(inspection(number)).wait(5)
    until(lambda: recorder.failing)
    for path in tmp_path.glob("records.db*"):
        path.unlink()
    disk.error = None
    assert recorder.add(inspection(6)).wait(5)
    until(lambda: not recorder.failing)

    database = Database(tmp_path / "records.db")
    assert sorted(row.id for row in database.inspections()) == [1, 2, 3, 4, 5, 6]
    assert database.counters("cam1", "life").total == 6
    database.close()


def test_what_memory_has_no_room_for_is_counted_loudly(
    recorder: Recorder,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The oldest go; status and log say how many."""
    monkeypatch.setattr("edge_app.records.recorder.MAX_WAITING", 3)
    monkeypatch.setattr("edge_app.records.recorder.RETRY_S", 60)
    disk.error = OSError(5, "Input/output error")
    assert recorder.add(inspection(1)).wait(5)
    until(lambda: "the disk fails" in recorder.failing)
    for number in range(2, 6):
        recorder.add(inspection(number))

    assert recorder.lost == 2
    assert "2 records are lost" in recorder.failing
    assert any(entry.levelname == "CRITICAL" for entry in caplog.records)


def test_stopping_syncs_what_was_committed(tmp_path: Path, disk: Disk) -> None:
    """A clean end costs no record, however long a sync might have waited."""
    recorder = Recorder(tmp_path / "records.db", sync_within_ms=60_000)
    recorder.start()
    assert recorder.add(inspection(1)).wait(5)
    recorder.stop(within_s=5)

    assert disk.syncs == 1


def test_without_time_each_commit_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Setting 0: nothing is left to anybody else."""
    monkeypatch.setattr(Sync, "__init__", None)
    recorder = Recorder(tmp_path / "records.db", sync_within_ms=0)
    recorder.start()

    assert recorder.add(inspection(1)).wait(5)
    recorder.stop()


def test_a_new_log_is_found(tmp_path: Path, disk: Disk) -> None:
    """Who closes the database last removes the log; the next sync goes to the new one."""
    path = tmp_path / "records.db"
    log = LogFile(path)
    for number in (1, 2):
        database = Database(path, synced=False)
        database.add([inspection(number)])
        log.sync()
        assert log.is_current()
        database.close()
        assert not log.is_current()
    log.close()

    assert disk.syncs == 2


def test_the_log_is_kept_short(recorder: Recorder, tmp_path: Path) -> None:
    """It is copied into the database file now and then, by nobody's commit."""
    for number in range(1, 151):
        assert recorder.add(inspection(number)).wait(5)

    def copied() -> int:
        shutil.copy(tmp_path / "records.db", tmp_path / "copy.db")
        copy = sqlite3.connect(f"file:{tmp_path / 'copy.db'}?immutable=1", uri=True)
        try:
            return int(copy.execute("SELECT count(*) FROM inspections").fetchone()[0])
        except sqlite3.Error:
            return 0  # nothing was copied yet, or half of it
        finally:
            copy.close()

    until(lambda: recorder.add(inspection(151)).wait(5) and copied() >= 100)
