"""Age counted in days on which the device ran, so that a wrong clock makes nothing old."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from edge_app.inference.durable import write_durably

log = logging.getLogger(__name__)


def utc_date() -> str:
    """Today by the wall clock, which may be wrong."""
    return time.strftime("%Y-%m-%d", time.gmtime())


class Day(NamedTuple):
    """One day.

    Args:
        date: By the wall clock.
        first: The inspection it began with.
        apart: Ids that were given without the disk since the day before began.
    """

    date: str
    first: int = 0
    apart: list[int] = []  # noqa: RUF012 - never changed


class Days:
    """Remembers with which inspection each day began.

    A day begins when its date is seen for the first time, wherever the clock has come from: a
    step forth or back makes one day more at most, and a clock that is wrong at every start
    makes one day in all. Nothing is ever compared with a file's time.

    Args:
        path: Where the days are kept; written once a day.
        most: Days that are kept; 0: no bound, and nothing is written.
        date: The wall clock's date.
    """

    def __init__(self, path: Path, most: int, date: Callable[[], str] = utc_date) -> None:
        self._path = path
        self._most = most
        self._date = date
        self._begun = _read(path) if most else []

    def see(self, inspection_id: int, apart: Callable[[], Collection[int]] = lambda: ()) -> None:
        """Note that this inspection is the newest; it begins a day if the date is a new one.

        Args:
            inspection_id: Its id.
            apart: Gives what is there with ids that were given without the disk. They stand in
                no order with the others: those that are here when a day begins are older than
                it. Only then it is asked for: it goes through everything that is there.

        Raises:
            OSError: The disk does not keep the day; it is tried again with the next one.
        """
        if not self._most:
            return
        today = self._date()
        if any(day.date == today for day in self._begun):
            return
        here = frozenset(apart())
        known = {older for day in self._begun for older in day.apart}
        # What is there before days are counted belongs to the first of them.
        day = Day(today, inspection_id, sorted(here - known)) if self._begun else Day(today)
        begun = [*self._begun, day]
        gone, begun = begun[: -self._most], begun[-self._most :]
        # What should have left with a day that is forgotten now, and is still there.
        late = [older for day in gone for older in day.apart if older in here]
        begun[0] = begun[0]._replace(apart=[*late, *begun[0].apart])
        write_durably(self._path, json.dumps(begun).encode())
        self._begun = begun

    @property
    def first_kept(self) -> int:
        """Inspections below this id are older than the days that are kept; 0: none is."""
        return self._begun[0].first if self._full else 0

    @property
    def left_apart(self) -> frozenset[int]:
        """Ids that were given without the disk, older than the days that are kept."""
        return frozenset(self._begun[0].apart) if self._full else frozenset()

    @property
    def _full(self) -> bool:
        return bool(self._most) and len(self._begun) >= self._most


def _read(path: Path) -> list[Day]:
    try:
        return [
            Day(str(date), int(first), [int(older) for ids in apart for older in ids])
            for date, first, *apart in json.loads(path.read_bytes())
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        # What is there counts as today's: kept longer than it should be, never shorter.
        log.warning("days are counted anew, %s can't be read: %s", path, error)
        return []
