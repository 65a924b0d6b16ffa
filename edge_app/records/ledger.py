"""What a program writes, by day and purpose: memory cards die of it."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from edge_app.inference.durable import write_durably
from edge_app.records.days import utc_date

MAX_DAYS = 32
SAVE_S = 900.0
"""A power cut forgets so much of the count; keeping it oftener would be wear itself."""

KERNEL = "kernel"
"""Beside the purposes: what the kernel says that the process had written in all."""

log = logging.getLogger(__name__)


class Ledger:
    """Adds up what was written, and remembers it over restarts.

    A day is a date of the wall clock; one that was set wrong for a while has a day of its own
    and leaves the others as they are.

    Args:
        path: Where it is kept, four times an hour.
        purposes: What the program itself counted so far, by purpose.
        proc: The kernel's account of this process.
        date: The wall clock's date.
    """

    def __init__(
        self,
        path: Path,
        purposes: Mapping[str, Callable[[], int]],
        *,
        proc: Path = Path("/proc/self"),
        date: Callable[[], str] = utc_date,
    ) -> None:
        self._path = path
        self._log = LogBytes()
        self._counted: dict[str, Callable[[], int]] = {
            **purposes,
            "logs": lambda: self._log.count,
            KERNEL: lambda: io_bytes(proc / "io", "write_bytes"),
        }
        self._date = date
        self._lock = threading.Lock()
        self._days = _read(path)
        # What the process wrote before, such as its libraries' caches, is no purpose of ours.
        self._start = {purpose: counted() for purpose, counted in self._counted.items()}
        self._seen = dict(self._start)
        self._save_due = time.monotonic() + SAVE_S

    def start(self) -> None:
        """Count the log too from now on."""
        logging.getLogger().addHandler(self._log)

    def stop(self) -> None:
        """Count the log no more, and keep the days."""
        logging.getLogger().removeHandler(self._log)
        try:
            self.save()
        except OSError as error:
            log.warning("the count of bytes written is not kept: %s", error)

    def look(self) -> None:
        """Take in what was written since the last look; now and then it goes to the disk.

        Raises:
            OSError: The disk does not keep it; nothing is lost while the program runs.
        """
        with self._lock:
            self._add_up()
            due = time.monotonic() >= self._save_due
            if due:
                self._save_due = time.monotonic() + SAVE_S
        if due:
            self.save()

    def save(self) -> None:
        """Keep the days.

        Raises:
            OSError: The disk does not take them.
        """
        with self._lock:
            self._add_up()
            content = json.dumps(self._days).encode()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self._path, content)

    def today(self, purpose: str) -> int:
        """Bytes of today, as of the last look."""
        return self._days.get(self._date(), {}).get(purpose, 0)

    def to_json(self) -> dict[str, object]:
        """Since the start of the program, and day by day: the form the API shows."""
        with self._lock:
            self._add_up()
            return {
                "since_start": {
                    name: seen - self._start[name] for name, seen in self._seen.items()
                },
                "today": dict(self._days.get(self._date(), {})),
                "days": {date: dict(day) for date, day in list(self._days.items())[-8:]},
            }

    def _add_up(self) -> None:
        # Taken out and put back, the day stands last: the oldest one is that not seen for longest.
        date = self._date()
        today = self._days.pop(date, {})
        for purpose, counted in self._counted.items():
            now = counted()
            today[purpose] = today.get(purpose, 0) + max(0, now - self._seen[purpose])
            self._seen[purpose] = now
        self._days[date] = today
        while len(self._days) > MAX_DAYS:
            del self._days[next(iter(self._days))]


class LogBytes(logging.Handler):
    """Counts what goes to the log; who keeps it (journald, a file) writes a little more."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one entry."""
        self.count += len(record.getMessage().encode())


def thread_bytes(*names: str, proc: Path = Path("/proc/self")) -> int:
    """Bytes that threads handed to write calls so far: how SQLite's writing is counted.

    Args:
        names: The threads' names; they must live as long as the program.
        proc: The kernel's account of this process.
    """
    numbers = [one.native_id for one in threading.enumerate() if one.name in names]
    return sum(io_bytes(proc / f"task/{number}/io", "wchar") for number in numbers)


def io_bytes(path: Path, field: str) -> int:
    """One figure of a kernel's account; 0 where it keeps none."""
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value)
    return 0


def _read(path: Path) -> dict[str, dict[str, int]]:
    try:
        return {
            str(date): {str(purpose): int(count) for purpose, count in day.items()}
            for date, day in json.loads(path.read_bytes()).items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("bytes written are counted anew, %s can't be read: %s", path, error)
        return {}
