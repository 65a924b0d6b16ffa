"""Age counted in days on which the device ran, so that a wrong clock makes nothing old."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

from edge_app.inference.durable import write_durably
from edge_app.records.ids import WITHOUT_DISK

log = logging.getLogger(__name__)


def utc_date() -> str:
    """Today by the wall clock, which may be wrong."""
    return time.strftime("%Y-%m-%d", time.gmtime())


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

    def see(self, inspection_id: int) -> None:
        """Note that this inspection is the newest; it begins a day if the date is a new one.

        Raises:
            OSError: The disk does not keep the day; it is tried again with the next one.
        """
        # Ids that were given without the disk stand in no order with the others.
        if not self._most or inspection_id >= WITHOUT_DISK:
            return
        today = self._date()
        if any(date == today for date, _ in self._begun):
            return
        # What is there before days are counted belongs to the first of them.
        first = inspection_id if self._begun else 0
        begun = [*self._begun, (today, first)][-self._most :]
        write_durably(self._path, json.dumps(begun).encode())
        self._begun = begun

    @property
    def first_kept(self) -> int:
        """Inspections below this id are older than the days that are kept; 0: none is."""
        return self._begun[0][1] if self._most and len(self._begun) >= self._most else 0


def _read(path: Path) -> list[tuple[str, int]]:
    try:
        return [(str(date), int(first)) for date, first in json.loads(path.read_bytes())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        # What is there counts as today's: kept longer than it should be, never shorter.
        log.warning("days are counted anew, %s can't be read: %s", path, error)
        return []
