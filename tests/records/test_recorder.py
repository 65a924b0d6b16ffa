"""Records: no id twice, nothing forgotten, whatever the disk does."""

from __future__ import annotations

import dataclasses
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from records_kept import inspection, stored, until

from edge_app.inference.detection import Detection
from edge_app.inference.judge import Code, Decision
from edge_app.inference.preprocess import Roi
from edge_app.records.archive import Archive
from edge_app.records.counters import Counters
from edge_app.records.database import Database
from edge_app.records.findings import Findings
from edge_app.records.floor import WITHOUT_DISK
from edge_app.records.ids import Ids, leaser
from edge_app.records.recorder import Recorder
from edge_app.records.ring import image_name
from edge_app.records.small_map import SmallMap


def test_what_is_recorded_comes_back(tmp_path: Path) -> None:
    """Every field of it."""
    kept = inspection(
        7,
        trigger=17,
        part="AB12",
        job=2,
        model="caps/3",
        decision=Decision.REVIEW,
        code=Code.FINE,
        reason="good 70%",
        label="good",
        label_index=1,
        score=0.7,
        scores={"good": 0.7, "bad": 0.3},
        laps_ms={"invoke": 3.25},
        total_ms=12.5,
        late_decision="OK",
        late_ms=300.5,
        warning=Code.HOT,
        image="cam1/1.jpg",
        test=True,
        request_id="order-4711",
        findings=Findings(
            (Detection("nut", 0.91, 1.5, 2.0, 30.0, 40.0), Detection("螺母", 0.5, 0, 0, 9, 9)),
            left_out=3,
            anomaly=0.25,
            heat=SmallMap(Roi(8, 4, 64, 48), 2, 3, bytes(range(6)), 0.5, 1.5),
        ),
    )
    database = Database(tmp_path / "records.db")
    database.add([kept])

    assert database.inspection(7) == kept
    assert database.inspection(8) is None
    database.close()


def test_the_same_id_again_brings_it_up_to_date(tmp_path: Path) -> None:
    """A late verdict joins the record that is there."""
    database = Database(tmp_path / "records.db")
    database.add([inspection(1)])
    database.add([inspection(1, late_decision="OK")])

    assert [row.late_decision for row in database.inspections()] == ["OK"]
    database.close()


def test_an_older_file_gains_what_is_new(tmp_path: Path) -> None:
    """Records of an older Lineside are read, with defaults for what they lack."""
    path = tmp_path / "records.db"
    database = Database(path)
    database.add([inspection(1)])
    database.close()
    old = sqlite3.connect(path)
    for column in ("job_crc", "request_id", "findings"):
        old.execute(f"ALTER TABLE inspections DROP COLUMN {column}")
    old.execute("PRAGMA user_version = 0")
    old.commit()
    old.close()

    database = Database(path)
    database.add([inspection(2, request_id="mine")])
    database.close()
    assert [(row.job_crc, row.request_id) for row in stored(path)] == [(0, ""), (0, "mine")]


def test_columns_of_a_newer_lineside_are_left_alone(tmp_path: Path) -> None:
    """After a return to this version its records are read, without what came later."""
    path = tmp_path / "records.db"
    database = Database(path)
    database.add([inspection(1)])
    with database.transaction() as connection:
        connection.execute("ALTER TABLE inspections ADD COLUMN mood TEXT NOT NULL DEFAULT 'fine'")
        connection.execute("PRAGMA user_version = 99")
    database.close()

    assert [row.id for row in stored(path)] == [1]


def test_reading_takes_no_lock_from_the_writer(tmp_path: Path) -> None:
    """Opening and reading go on while somebody holds the write lock."""
    path = tmp_path / "records.db"
    writer = Database(path)
    with writer.transaction():
        reader = Database(path)
        assert reader.inspections() == []
        reader.close()
    writer.close()


def test_two_programs_never_give_the_same_id(tmp_path: Path) -> None:
    """Each has blocks of its own."""
    code = (
        "import sys; from pathlib import Path; from edge_app.records.ids import Ids, leaser\n"
        "ids = Ids(leaser(Path(sys.argv[1])))\n"
        "print(*[ids.next() for _ in range(2500)])"
    )
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "records.db")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    given = [
        int(word) for program in programs for word in program.communicate(timeout=60)[0].split()
    ]

    assert len(given) == 5000
    assert len(set(given)) == 5000


def test_a_restart_gives_no_id_again(tmp_path: Path) -> None:
    """What was left of a block is given up."""
    lease = leaser(tmp_path / "records.db")
    before = [Ids(lease).next() for _ in range(3)]

    assert len({*before, Ids(lease).next()}) == 4


def test_an_exchanged_disk_brings_no_id_back(tmp_path: Path) -> None:
    """While the program runs ids come from the upper half; later from behind those kept there."""
    path = tmp_path / "records.db"
    lease = leaser(path)
    lease(1000)
    for old in tmp_path.iterdir():
        old.unlink()
    database = Database(path)
    database.add([inspection(700)])
    database.close()

    assert Ids(lease).next() > WITHOUT_DISK
    assert leaser(path)(10).start == 701


def test_without_a_disk_ids_go_on_apart() -> None:
    """They come from the upper half and can't meet the others."""

    def refuse(_count: int) -> range:
        raise sqlite3.OperationalError("disk I/O error")

    ids = Ids(refuse)
    given = [ids.next() for _ in range(100)]

    assert len(set(given)) == 100
    assert min(given) > WITHOUT_DISK


def test_records_wait_while_the_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, and they are committed when it is back."""
    monkeypatch.setattr("edge_app.records.recorder.RETRY_S", 0.02)
    blocked = tmp_path / "data"
    blocked.write_text("a file where the folder should be")
    recorder = Recorder(blocked / "records.db")
    recorder.start()

    events = [recorder.add(inspection(number, captured_at=float(number))) for number in range(1, 6)]
    until(lambda: recorder.failing)
    assert recorder.waiting == 5
    assert not any(event.is_set() for event in events)
    blocked.unlink()

    assert all(event.wait(5) for event in events)
    until(lambda: not recorder.failing)
    recorder.stop()
    assert [row.id for row in stored(blocked / "records.db")] == [1, 2, 3, 4, 5]


def test_stopping_commits_what_waits(tmp_path: Path) -> None:
    """Nothing that was handed over is lost by a restart."""
    recorder = Recorder(tmp_path / "records.db")
    recorder.start()
    for number in range(300):
        recorder.add(inspection(number + 1))
    recorder.stop(within_s=5)

    assert len(stored(tmp_path / "records.db")) == 300


def test_counters_are_those_of_the_records(tmp_path: Path) -> None:
    """Whatever is counted in memory already or not yet: a test shot is not, a late word is."""
    path = tmp_path / "records.db"
    life = Counters("cam1", "life", ok=1000, missed=3)
    database = Database(path)
    database.add([inspection(1, decision=Decision.OK), inspection(2, test=True)], [life])
    database.add([inspection(2**31 + 9, decision=Decision.NG)], [life])
    database.add([inspection(3, decision=Decision.OK), inspection(3, late_decision="OK")], [life])

    counted = database.counters("cam1", "life")

    assert (counted.ok, counted.ng, counted.review, counted.none) == (1, 1, 0, 1)
    assert counted.missed == 3
    assert counted == database.counters("cam1", "life")
    database.close()


def test_a_new_shift_begins_at_nothing(tmp_path: Path) -> None:
    """Its life goes on."""
    database = Database(tmp_path / "records.db")
    life = Counters("cam1", "life", since=1.0)
    database.add([inspection(1)], [life, Counters("cam1", "shift", since=1.0)])
    database.add([], [life, Counters("cam1", "shift", since=2.0, missed=4)])
    database.add([inspection(2)], [life, Counters("cam1", "shift", since=2.0, missed=4)])

    assert database.counters("cam1", "shift").total == 1
    assert database.counters("cam1", "shift").missed == 4
    assert database.counters("cam1", "life").total == 2
    database.close()


def test_a_record_never_takes_another_ones_place(tmp_path: Path) -> None:
    """Ids given without a disk could meet: the later record is kept under a new one, once."""
    database = Database(tmp_path / "records.db")
    first, other = inspection(2**31, part="A"), inspection(2**31, part="B", captured_at=1.0)
    database.add([first])
    database.add([other])
    database.add([dataclasses.replace(other, late_decision="OK")])

    kept = {row.part: row for row in database.inspections()}

    assert database.inspection(2**31) == first
    assert len(database.inspections()) == len(kept) == 2
    assert kept["B"].late_decision == "OK"
    assert kept["B"].id not in database.lease_ids(100)
    database.close()


def test_ids_go_on_without_the_database(tmp_path: Path) -> None:
    """A file of its own says where, and the higher of both is right."""
    path = tmp_path / "records.db"
    first = leaser(path)(10)
    path.unlink()
    second = leaser(path)(10)
    (tmp_path / "records.next-id").write_text("rubbish")
    third = leaser(path)(10)

    assert first.stop == second.start
    assert second.stop == third.start


def test_without_a_disk_no_two_programs_give_the_same_id() -> None:
    """Nor does one that is started again."""

    def refuse(_count: int) -> range:
        raise sqlite3.OperationalError("disk I/O error")

    given = [
        ids.next()
        for second in (0, 1)
        for slot in range(3)
        for ids in [Ids(refuse, slot, 3, clock=lambda: 1.8e9 + second)]  # noqa: B023 - used at once
        for _ in range(10)
    ]

    assert len(set(given)) == len(given)
    assert min(given) >= WITHOUT_DISK
    assert max(given) < 2**32


def archive(folder: Path, **limits: int) -> Archive:
    """An archive that has found what is there."""
    plain = {"max_bytes": 1000, "min_free_bytes": 0, "keep_ok_one_in": 1}
    return Archive(folder / "cam1", **plain | limits)


def kept(folder: Path) -> list[int]:
    """Ids of the pictures on disk."""
    return sorted(int(path.stem) for path in folder.glob("cam1/*/*.jpg"))


def test_the_oldest_pictures_make_room(tmp_path: Path) -> None:
    """A ring by id, within its bytes, also over a restart."""
    for first in (1, 6):
        pictures = archive(tmp_path)
        pictures.start()
        for number in range(first, first + 5):
            assert pictures.add(number, lambda: b"x" * 300)
            until(pictures._queue.empty)
        pictures.stop()

    assert kept(tmp_path) == [8, 9, 10]


def test_below_the_floor_no_picture_is_kept(tmp_path: Path) -> None:
    """The disk's last bytes belong to the records, and the archive says why."""
    pictures = archive(tmp_path, min_free_bytes=2**60)
    pictures.start()
    pictures.add(1, lambda: b"x")
    until(lambda: pictures.failing)
    pictures.stop()

    assert "are free" in pictures.failing
    assert pictures.dropped == 1
    assert kept(tmp_path) == []


def test_a_picture_that_can_not_be_kept_costs_no_other(tmp_path: Path) -> None:
    """The next one is kept."""

    def broken() -> bytes:
        raise ValueError("no such picture")

    pictures = archive(tmp_path)
    pictures.start()
    pictures.add(1, broken)
    pictures.add(2, lambda: b"x")
    pictures.stop()

    assert kept(tmp_path) == [2]
    assert pictures.failing == ""


def test_a_slow_disk_drops_pictures_at_once(tmp_path: Path) -> None:
    """Nobody waits for it, and what has no place has no name."""
    pictures = archive(tmp_path)

    names = [pictures.add(number, lambda: b"x") for number in range(1, 12)]

    assert names[0] == f"cam1/{image_name(1)}"
    assert names[-1] == ""
    assert pictures.dropped == 3


def test_good_parts_are_sampled(tmp_path: Path) -> None:
    """One in N of the OK ones, all of the others."""
    pictures = archive(tmp_path, keep_ok_one_in=3)

    assert [pictures.wants(Decision.OK) for _ in range(6)] == [False, False, True] * 2
    assert pictures.wants(Decision.NONE)
    assert not archive(tmp_path, keep_ok_one_in=0).wants(Decision.OK)
