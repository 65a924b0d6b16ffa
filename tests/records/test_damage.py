"""A damaged database: set aside, kept, replaced; recording goes on and a person is told."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_app.inference.judge import Decision
from edge_app.records import damage
from edge_app.records.database import Database
from edge_app.records.ids import leaser
from edge_app.records.inspection import Inspection
from edge_app.records.recorder import Recorder
from edge_app.records.schema import PAGE_BYTES


def until(look: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until something is true."""
    ends_at = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < ends_at, "it did not come"
        time.sleep(0.01)


def inspection(number: int) -> Inspection:
    """One inspection."""
    return Inspection(id=number, camera="cam1", source="plc", decision=Decision.OK)


def ids(path: Path) -> list[int]:
    """Of all records in a database."""
    database = Database(path)
    try:
        return sorted(row.id for row in database.inspections(limit=500))
    finally:
        database.close()


def spoil(path: Path, begin: int = 0) -> None:
    """Write rubbish over all of a file behind its first bytes."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"rubbish!" * ((size - begin) // 8))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with forty records, closed."""
    monkeypatch.setattr("edge_app.records.recorder.RETRY_S", 0.02)
    path = tmp_path / "records.db"
    leaser(path)(1000)
    database = Database(path)
    database.add(map(inspection, range(1, 41)))
    database.close()
    return path


@pytest.fixture
def recorder(path: Path) -> Iterator[Recorder]:
    """Not yet started."""
    recorder = Recorder(path, sync_within_ms=100)
    yield recorder
    recorder.stop(within_s=5)


def test_a_database_that_is_none_any_more_is_replaced(
    path: Path, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """The record that found it is kept in the new one; the old one stays for a person."""
    spoil(path)
    recorder.start()

    assert recorder.add(inspection(2000)).wait(10)
    until(lambda: not recorder.failing)
    assert ids(path) == [2000]
    (kept,) = damage.set_aside_before(path.parent)
    assert kept.read_bytes().startswith(b"rubbish!")
    assert kept.name in damage.notice(path.parent)
    assert any(entry.levelname == "CRITICAL" for entry in caplog.records)


def test_ids_and_counters_go_on(path: Path, recorder: Recorder) -> None:
    """A life's counters as far as they can be read; ids in any case."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        (page,) = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'inspections'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
    recorder.start()

    assert recorder.add(inspection(2000)).wait(10)
    database = Database(path)
    assert database.counters("cam1", "life").ok == 41
    database.close()
    assert leaser(path)(10).start >= 1001


def test_other_programs_move_over_to_the_new_one(path: Path, recorder: Recorder) -> None:
    """A recorder that had the old file open puts its next record into the new one."""
    recorder.start()
    assert recorder.add(inspection(50)).wait(10)
    spoil(path, begin=4096)

    assert damage.set_aside(path, damage.inode(path)) is not None
    assert recorder.add(inspection(51)).wait(10)
    until(lambda: not recorder.failing)
    assert ids(path) == [51]


def test_whoever_comes_second_replaces_nothing(path: Path) -> None:
    """The new database stays."""
    seen = damage.inode(path)
    spoil(path)

    assert damage.set_aside(path, seen) is not None
    new = damage.inode(path)
    assert damage.set_aside(path, seen) is None
    assert damage.inode(path) == new


def test_a_reader_that_meets_damage_has_it_replaced(path: Path) -> None:
    """Else what nobody writes to would stay unreadable for ever."""
    spoil(path, begin=8192)
    with pytest.raises(sqlite3.DatabaseError) as met:
        ids(path)

    damage.report(path, met.value)

    assert ids(path) == []
    assert len(damage.set_aside_before(path.parent)) == 1


def test_what_is_no_damage_replaces_nothing(path: Path) -> None:
    """A disk that fails for a while, and an error that is not confirmed."""
    damage.report(path, sqlite3.OperationalError("disk I/O error"))
    confirmed = sqlite3.DatabaseError("database disk image is malformed")
    confirmed.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    damage.report(path, confirmed)

    assert len(ids(path)) == 40
    assert damage.notice(path.parent) == ""


def test_only_the_newest_are_kept(path: Path) -> None:
    """A card that spoils one after the other does not fill up."""
    for hour in range(5):
        (path.parent / f"records.damaged-20260101-0{hour}0000.db").write_bytes(b"old")
    spoil(path)

    kept = damage.set_aside(path, damage.inode(path))

    assert damage.set_aside_before(path.parent)[-1] == kept
    assert len(damage.set_aside_before(path.parent)) == damage.KEPT
