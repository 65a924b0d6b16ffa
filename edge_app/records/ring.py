"""Pictures on disk as a ring: the oldest inspections' leave for the newest."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edge_app.inference.durable import write_in_pieces
from edge_app.records.days import Days, utc_date
from edge_app.records.floor import WITHOUT_DISK
from edge_app.records.whole import is_whole

PER_FOLDER = 1000

MOST_AT_ONCE = 100
"""Pictures removed at a time: a day's worth in one go would hold up those that come."""

DAYS = "days.json"

LAST = 200
"""Pictures looked at when a program starts: more than the kernel leaves unwritten."""

log = logging.getLogger(__name__)


def image_name(inspection_id: int) -> str:
    """Where an inspection's picture lies, below its camera's folder."""
    return f"{inspection_id // PER_FOLDER:07d}/{inspection_id:010d}.jpg"


class Ring:
    """Pictures of one folder within bytes, days and what the disk has left.

    Only ids decide which picture is older; the times of files lie after a step of the clock.

    Args:
        folder: Nobody else writes there.
        max_bytes: Pictures kept at most.
        min_free_bytes: The oldest go when less of the disk is free.
        max_days: Days kept, of those on which the device ran; 0: no bound.
        date: The wall clock's date.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        min_free_bytes: int,
        max_days: int = 0,
        date: Callable[[], str] = utc_date,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._days = Days(folder / DAYS, max_days, date)
        self._kept: deque[tuple[int, int]] = deque()
        self._bytes = 0
        self._newest_id = 0
        self._expired_below = 0

    @property
    def kept_bytes(self) -> int:
        """Bytes of pictures on disk."""
        return self._bytes

    def find(self) -> None:
        """Take over what an earlier process left, and clear away what it did not finish."""
        for unfinished in self._folder.glob("*/*.partial"):
            unfinished.unlink(missing_ok=True)
        found = [
            (int(path.stem), path.stat().st_size)
            for path in self._folder.glob("*/*.jpg")
            if path.stem.isdecimal()
        ]
        # Ids given without the disk stand in no order with the others: they go first.
        self._kept.extend(sorted(found, key=lambda kept: (kept[0] < WITHOUT_DISK, kept[0])))
        self._bytes = sum(size for _, size in found)
        # Zero without any: ids that were given without the disk stand in no order with others.
        self._newest_id = max((number for number, _ in found if number < WITHOUT_DISK), default=0)
        self._clear_torn()

    def keep(self, inspection_id: int, content: bytes) -> None:
        """Write a picture, after what has to go for it.

        Raises:
            OSError: The disk is full, read-only or gone.
        """
        path = self._folder / image_name(inspection_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._make_room(len(content))
        unfinished = path.with_suffix(".partial")
        with unfinished.open("wb") as file:
            write_in_pieces(file, content)
            file.flush()
            # Begin to write now, without waiting: the power may go before the kernel would.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        unfinished.replace(path)
        self._kept.append((inspection_id, len(content)))
        self._bytes += len(content)
        if inspection_id < WITHOUT_DISK:
            self._newest_id = inspection_id
            self._days.see(inspection_id, self._apart)
        else:
            self._days.see(self._newest_id + 1, partial(self._apart, inspection_id))

    def expire(self) -> int:
        """Remove some of what is too old; returns how many pictures went.

        Raises:
            OSError: The disk is read-only or gone.
        """
        if self._kept:
            self._days.see(self._newest_id + 1, self._apart)
        first_kept = self._days.first_kept
        if first_kept == self._expired_below:
            return 0
        left = self._days.left_apart
        old = [e for e in self._kept if e[0] < first_kept or e[0] in left][:MOST_AT_ONCE]
        for entry in old:
            self._remove(*entry)
            self._kept.remove(entry)
        if len(old) < MOST_AT_ONCE:
            self._expired_below = first_kept
        return len(old)

    def _apart(self, but: int = 0) -> list[int]:
        """Pictures whose ids were given without the disk, but for one."""
        return [number for number, _ in self._kept if number >= WITHOUT_DISK and number != but]

    def _clear_torn(self) -> None:
        """Remove what a power cut left torn: it can only be among the last that were written."""
        for entry in [*self._kept][-LAST:]:
            path = self._folder / image_name(entry[0])
            if not is_whole(path.read_bytes()):
                log.warning("the power went before %s was on the disk", path.name)
                self._remove(*entry)
                self._kept.remove(entry)

    def _make_room(self, wanted_bytes: int) -> None:
        free = shutil.disk_usage(self._folder).free - wanted_bytes - self._min_free_bytes
        for _ in range(MOST_AT_ONCE):
            full = self._bytes + wanted_bytes > self._max_bytes
            if not self._kept or not (full or free < 0):
                break
            oldest = self._kept[0]
            self._remove(*oldest)
            self._kept.popleft()
            free += oldest[1]
        if free < 0:
            free_mb = (free + wanted_bytes + self._min_free_bytes) // 1_000_000
            raise OSError(f"only {free_mb} MB of disk are free")

    def _remove(self, inspection_id: int, size: int) -> None:
        path = self._folder / image_name(inspection_id)
        path.unlink(missing_ok=True)
        self._bytes -= size
        with contextlib.suppress(OSError):  # not empty yet
            path.parent.rmdir()
