"""What leaves and when: by inspection id, whatever the clock and the times of files say."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_app.records.archive import encode_jpeg
from edge_app.records.database import Database
from edge_app.records.floor import WITHOUT_DISK
from edge_app.records.inspection import Inspection
from edge_app.records.retention import Retention
from edge_app.records.ring import Ring, image_name


def until(look: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until something is true."""
    ends_at = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < ends_at, "it did not come"
        time.sleep(0.01)


class Calendar:
    """The wall clock's date, as a test sets it."""

    def __init__(self) -> None:
        self.date = "2026-11-01"

    def __call__(self) -> str:
        """As the ring asks for it."""
        return self.date


def ring(folder: Path, date: Callable[[], str] | None = None, **limits: int) -> Ring:
    """A ring that has found what is there."""
    plain = {"max_bytes": 10**6, "min_free_bytes": 0}
    made = Ring(folder, **plain | limits, date=date or Calendar())
    made.find()
    return made


def on_disk(folder: Path) -> list[int]:
    """Ids of the pictures on disk."""
    return sorted(int(path.stem) for path in folder.glob("*/*.jpg"))


def live_through(dates: list[str], pictures: Ring, calendar: Calendar) -> None:
    """Two pictures on each date; their ids say the position in the list: 10, 11, 20, 21."""
    for place, date in enumerate(dates, 1):
        calendar.date = date
        for more in range(2):
            pictures.keep(10 * place + more, b"x")
            pictures.expire()


def test_pictures_leave_when_their_day_is_over(tmp_path: Path) -> None:
    """Three days: today and the two before it."""
    calendar = Calendar()
    pictures = ring(tmp_path, calendar, max_days=3)

    live_through(["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"], pictures, calendar)

    assert on_disk(tmp_path) == [20, 21, 30, 31, 40, 41]


def test_a_day_passes_without_pictures_too(tmp_path: Path) -> None:
    """An idle line's pictures grow old while it runs."""
    calendar = Calendar()
    pictures = ring(tmp_path, calendar, max_days=2)
    live_through(["2026-11-01"], pictures, calendar)

    for date in ("2026-11-02", "2026-11-03"):
        calendar.date = date
        pictures.expire()

    assert on_disk(tmp_path) == []


@pytest.mark.parametrize("wrong", ["1970-01-01", "2038-01-19"])
def test_a_step_of_the_clock_makes_no_picture_old(tmp_path: Path, wrong: str) -> None:
    """Years forth or back and home again count as one day, also at every start."""
    calendar = Calendar()
    pictures = ring(tmp_path, calendar, max_days=3)
    live_through(["2026-11-01", wrong, "2026-11-01", wrong, "2026-11-01"], pictures, calendar)

    for _ in range(3):
        calendar.date = wrong
        pictures = ring(tmp_path, calendar, max_days=3)
        pictures.expire()
        calendar.date = "2026-11-01"
        pictures.expire()

    assert on_disk(tmp_path) == [10, 11, 20, 21, 30, 31, 40, 41, 50, 51]


def test_the_times_of_files_decide_nothing(tmp_path: Path) -> None:
    """Over a restart the lowest ids are the oldest, and what has a new time leaves as well."""
    pictures = ring(tmp_path)
    for number in range(1, 6):
        pictures.keep(number, b"x" * 300)
        os.utime(tmp_path / image_name(number), (10**9 - number, 10**9 - number))

    ring(tmp_path, max_bytes=1000).keep(6, b"x" * 300)

    assert on_disk(tmp_path) == [4, 5, 6]


def test_days_that_can_not_be_read_keep_everything(tmp_path: Path) -> None:
    """Longer than asked rather than shorter."""
    calendar = Calendar()
    live_through(["2026-11-01", "2026-11-02"], ring(tmp_path, calendar, max_days=2), calendar)
    (tmp_path / "days.json").write_bytes(b'[["2026-11-0')

    calendar.date = "2026-11-03"
    pictures = ring(tmp_path, calendar, max_days=2)
    pictures.expire()

    assert on_disk(tmp_path) == [10, 11, 20, 21]


def test_pictures_that_were_numbered_without_the_disk_leave_with_their_day(tmp_path: Path) -> None:
    """Their numbers are above all others, and say nothing of their age."""
    calendar = Calendar()
    pictures = ring(tmp_path, calendar, max_days=2)
    live_through(["2026-11-01"], pictures, calendar)
    calendar.date = "2026-11-02"
    pictures.keep(WITHOUT_DISK + 5, b"x")
    pictures.keep(20, b"x")
    calendar.date = "2026-11-03"
    pictures.keep(30, b"x")
    pictures.expire()

    assert on_disk(tmp_path) == [20, 30, WITHOUT_DISK + 5]

    calendar.date = "2026-11-04"
    again = ring(tmp_path, calendar, max_days=2)
    again.keep(40, b"x")
    again.expire()

    assert on_disk(tmp_path) == [30, 40]


JPEG = encode_jpeg(np.zeros((32, 32, 3), np.uint8))


@pytest.mark.parametrize(
    "torn",
    [b"", bytes(2000), JPEG[:-2], JPEG[:400] + bytes(len(JPEG) - 400), JPEG[:-20] + bytes(4096)],
)
def test_a_torn_picture_is_cleared_away(tmp_path: Path, torn: bytes) -> None:
    """What a power cut left half on the disk is no picture."""
    pictures = ring(tmp_path)
    pictures.keep(1, JPEG)
    pictures.keep(2, JPEG + b"what a camera adds")
    pictures.keep(3, torn)

    again = ring(tmp_path)

    assert on_disk(tmp_path) == [1, 2]
    assert again.kept_bytes == 2 * len(JPEG) + 18


def test_below_the_floor_the_oldest_go_first(tmp_path: Path) -> None:
    """Pictures give the disk back before new ones are refused."""
    ring(tmp_path).keep(1, b"x")

    with pytest.raises(OSError, match="disk are free"):
        ring(tmp_path, min_free_bytes=2**60).keep(2, b"x")

    assert on_disk(tmp_path) == []


def test_what_a_power_cut_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    """Else it would take room for ever."""
    (tmp_path / "0000000").mkdir()
    (tmp_path / "0000000" / "0000000007.partial").write_bytes(b"half")

    ring(tmp_path)

    assert list(tmp_path.glob("*/*")) == []


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Records on disk."""
    made = Database(tmp_path / "records.db")
    yield made
    made.close()


def ids(database: Database) -> list[int]:
    """Ids of all records."""
    return sorted(record.id for record in database.inspections(limit=500))


def test_the_oldest_records_leave_with_their_reviews(tmp_path: Path, database: Database) -> None:
    """By id, though the clock was set back in between."""
    times = {1: 500.0, 2: 600.0, 3: 100.0, 4: 200.0, 5: 300.0}
    database.add(
        Inspection(id=number, camera="cam1", source="plc", captured_at=at)
        for number, at in times.items()
    )
    for number in (1, 5):
        database.add_review(number, "OK", "Ann", "")

    retention = Retention(tmp_path / "records.db", 2, batch=2, pause_s=0.01)
    retention.start()
    until(lambda: ids(database) == [4, 5])
    retention.stop()

    assert list(database.reviews([1, 4, 5])) == [5]


def test_whoever_writes_goes_first(tmp_path: Path, database: Database) -> None:
    """While the line holds the lock old records stay, and the line's commit succeeds."""
    database.add(Inspection(id=number, camera="cam1", source="plc") for number in range(1, 50))
    retention = Retention(tmp_path / "records.db", 10, batch=10, pause_s=0.0)
    with database.transaction() as connection:
        retention.start()
        time.sleep(0.3)
        (count,) = connection.execute("SELECT count(*) FROM inspections").fetchone()
    retention.stop()

    assert count == 49


def test_counters_forget_nothing_that_left(tmp_path: Path, database: Database) -> None:
    """A record that is gone stays counted."""
    database.add(Inspection(id=number, camera="cam1", source="plc") for number in range(1, 6))
    counted = database.counters("cam1", "life")
    database.add([], [counted])

    retention = Retention(tmp_path / "records.db", 1, pause_s=0.01)
    retention.start()
    until(lambda: ids(database) == [5])
    retention.stop()

    assert database.counters("cam1", "life").total == 5


def test_without_records_there_is_nothing_to_let_go(tmp_path: Path) -> None:
    """No file is made, and nothing ends."""
    retention = Retention(tmp_path / "records.db", 1, pause_s=0.01)
    retention.start()
    time.sleep(0.1)
    retention.stop()

    assert not (tmp_path / "records.db").exists()
