"""The journal: what was answered for outlives the program, before its commit."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from records_kept import inspection, stored, until

from edge_app.inference.judge import Decision
from edge_app.records.database import Database
from edge_app.records.journal import MAX_BYTES, Journal, file_system_of, journal_in, line_of
from edge_app.records.recorder import Recorder

MEMORY = Path("/dev/shm")  # noqa: S108 - memory is meant

pytestmark = pytest.mark.skipif(
    file_system_of(MEMORY) != "tmpfs", reason="needs a memory file system at /dev/shm"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, such as systemd gives the programs."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


def journal(folder: Path) -> Journal:
    """The journal of cam1."""
    made = journal_in(folder, "cam1")
    assert made is not None
    return made


def killed(folder: Path, path: Path) -> None:
    """A program that answers for three parts and is killed before it commits any."""
    recorder = Recorder(path, sync_within_ms=1000, journal=journal(folder))
    for number in (1, 2, 3):
        decision = Decision.NG if number == 2 else Decision.OK
        assert recorder.add(inspection(number, decision=decision, part="螺母")).is_set()
    os.kill(os.getpid(), signal.SIGKILL)


def counted(path: Path) -> tuple[int, int]:
    """Good and bad parts of cam1 that the database counted."""
    database = Database(path)
    try:
        counters = database.counters("cam1", "life")
    finally:
        database.close()
    return counters.ok, counters.ng


def test_what_was_answered_for_outlives_a_kill(folder: Path, tmp_path: Path) -> None:
    """Records that a killed program had not committed are written and counted at the next start."""
    path = tmp_path / "records.db"
    program = multiprocessing.get_context("spawn").Process(target=killed, args=(folder, path))
    program.start()
    program.join(20)
    assert program.exitcode == -signal.SIGKILL

    recorder = Recorder(path, sync_within_ms=1000, journal=journal(folder))
    recorder.catch_up()

    assert [(row.id, row.part) for row in stored(path)] == [(n, "螺母") for n in (1, 2, 3)]
    assert counted(path) == (2, 1)
    assert (folder / "cam1.journal").stat().st_size == 0


def test_a_record_that_is_committed_already_counts_once(folder: Path, tmp_path: Path) -> None:
    """A kill between the commit and the journal's emptying doubles nothing."""
    path = tmp_path / "records.db"
    one = inspection(1, decision=Decision.OK)
    before = journal(folder)
    before.add(line_of(one))
    before.close()
    database = Database(path)
    database.add([one])
    database.close()

    Recorder(path, sync_within_ms=1000, journal=journal(folder)).catch_up()

    assert [row.id for row in stored(path)] == [1]
    assert counted(path) == (1, 0)


def test_every_field_comes_back(folder: Path) -> None:
    """A line of the journal is the whole record, whatever stands in it."""
    whole = inspection(
        1, reason='a "b"\n\\', scores={"good": 0.5}, total_ms=float("inf"), test=True
    )
    kept = journal(folder)
    kept.add(line_of(whole))

    assert kept.left() == [whole]


@pytest.mark.parametrize("damage", [b"", b"deadbeef {}\n", b"zz", b"\xff\n\n"])
def test_a_torn_line_is_nobody_s_record(folder: Path, damage: bytes) -> None:
    """What a kill cut off was never answered for; the others are all there."""
    whole = line_of(inspection(1))
    torn = line_of(inspection(2))[:-9]
    (folder / "cam1.journal").write_bytes(whole + damage + b"\n" + torn)

    assert [found.id for found in journal(folder).left()] == [1]


def test_commits_empty_it(folder: Path, tmp_path: Path) -> None:
    """Once all is committed nothing is left to be written again."""
    recorder = Recorder(tmp_path / "records.db", sync_within_ms=1000, journal=journal(folder))
    recorder.start()

    assert recorder.add(inspection(1)).is_set()
    until(lambda: recorder.waiting == 0)
    recorder.stop()

    assert (folder / "cam1.journal").read_bytes() == b""
    assert [row.id for row in stored(tmp_path / "records.db")] == [1]


def test_a_reader_need_not_wait_for_the_gathering(folder: Path, tmp_path: Path) -> None:
    """`hurry` commits what waits; with nothing to do it says so at once."""
    recorder = Recorder(tmp_path / "records.db", sync_within_ms=1000, journal=journal(folder))
    recorder.start()
    assert recorder.hurry(0.0)
    recorder.add(inspection(1))

    assert recorder.hurry(5.0)
    assert [row.id for row in stored(tmp_path / "records.db")] == [1]
    recorder.stop()


def test_it_stands_only_for_prompt_commits(folder: Path, tmp_path: Path) -> None:
    """While another program holds the database, records are soon not called safe any more."""
    path = tmp_path / "records.db"
    recorder = Recorder(path, sync_within_ms=1000, journal=journal(folder))
    recorder.start()
    recorder.add(inspection(1))
    assert recorder.hurry(5.0)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    assert recorder.add(inspection(2)).is_set()
    time.sleep(0.5)
    late = recorder.add(inspection(3))
    assert not late.is_set()

    other.execute("ROLLBACK")
    other.close()
    assert late.wait(5)
    recorder.stop()
    assert [row.id for row in stored(path)] == [1, 2, 3]


def test_what_the_disk_refuses_is_kept_over_a_restart(folder: Path, tmp_path: Path) -> None:
    """Records that could not be committed are written by the next start, once the disk is back."""
    path = tmp_path / "gone" / "records.db"
    path.parent.mkdir()
    (path.parent / "records.db").mkdir()
    kept = journal(folder)
    recorder = Recorder(path, sync_within_ms=1000, journal=kept)
    recorder.start()
    recorder.add(inspection(1))
    until(lambda: recorder.failing)
    assert not recorder.add(inspection(2)).is_set()
    recorder.stop(within_s=3)
    kept.close()

    again = Recorder(path, sync_within_ms=1000, journal=journal(folder))
    again.catch_up()
    assert again.waiting == 2
    path.rmdir()
    again.start()
    until(lambda: not again.waiting)
    again.stop()
    assert [row.id for row in stored(path)] == [1, 2]


def test_it_is_bounded(folder: Path) -> None:
    """What comes beyond its size has to wait for its commit."""
    kept = journal(folder)
    line = line_of(inspection(1, reason="x" * 100_000))
    taken = sum(kept.add(line) for _ in range(20))

    assert taken == MAX_BYTES // len(line)
    assert (folder / "cam1.journal").stat().st_size <= MAX_BYTES


def test_half_a_line_spoils_no_other(folder: Path) -> None:
    """Where there is room for half a record it is not there at all, and the next one is."""
    kept = journal(folder)
    line = line_of(inspection(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert kept.add(line)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(line) + 50, before[1]))
    try:
        assert not kept.add(line_of(inspection(2)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert kept.add(line_of(inspection(3)))
    assert [found.id for found in kept.left()] == [1, 3]


def test_one_program_has_it(folder: Path) -> None:
    """A second one waits for its commits: it must not empty what is not its own."""
    held = journal(folder)

    assert journal_in(folder, "cam1") is None
    assert held.add(line_of(inspection(1)))


def test_there_is_none_on_a_disk() -> None:
    """A folder that does not lie in memory gives no journal."""
    assert file_system_of(Path("/proc/self")) == "proc"
    assert journal_in(Path("/proc/self"), "cam1") is None
