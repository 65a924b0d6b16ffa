"""People with the page open and people who upload, while something else is timed.

A process of their own: threads beside the one that takes the time would hold it up, and their
waiting would be told as the line's.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.clients import ask
from benchmarks.processes import cpu_s, set_niceness

PAGE_PERIOD_S = 1.0
PAGE_PATHS = (
    "/",
    "/api/v1/status",
    "/api/v1/inspections?limit=20",
    "/api/v1/cameras/cam1/live.jpg",
)


@dataclass(slots=True)
class Tally:
    """What so many clients saw: answers by status, 0 where none came; and times."""

    statuses: dict[str, int] = field(default_factory=dict)
    times_ms: list[float] = field(default_factory=list)

    def add(self, status: int, spent_ms: float) -> None:
        """Count one answer."""
        self.statuses[str(status)] = self.statuses.get(str(status), 0) + 1
        self.times_ms.append(spent_ms)

    def take_over(self, other: Tally) -> None:
        """Count another's answers too."""
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        self.times_ms += other.times_ms


@dataclass(slots=True)
class Crowd:
    """What all of them saw, known when they have gone.

    Args:
        pages: Those with the page open.
        uploads: Those who upload.
        cores: Processors that the crowd itself used on average.
    """

    pages: Tally = field(default_factory=Tally)
    uploads: Tally = field(default_factory=Tally)
    cores: float = 0.0


@contextlib.contextmanager
def crowd(port: int, photo: Path, *, pages: int, uploaders: int) -> Iterator[Crowd]:
    """So many people at the app while the block runs, in a process of their own."""
    question = [str(port), str(photo), str(pages), str(uploaders)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crowd", *question],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    seen, began = Crowd(), time.monotonic()
    try:
        yield seen
    finally:
        seen.cores = cpu_s(process.pid) / (time.monotonic() - began)
        told, _ = process.communicate("", timeout=30)
    seen.pages, seen.uploads = (Tally(**entry) for entry in json.loads(told))


def main(port: str, photo: str, pages: str, uploaders: str) -> None:
    """The crowd's process: goes on until its input ends, then tells what it saw."""
    # Whoever takes the time may have put himself first; those here are nobody special.
    set_niceness(0)
    content = Path(photo).read_bytes()
    stopping = threading.Event()
    told = Tally(), Tally()

    def look(turn: int) -> None:
        _timed(told[0], lambda: ask(int(port), "GET", PAGE_PATHS[turn % len(PAGE_PATHS)])[0])

    def send(_turn: int) -> None:
        _timed(told[1], lambda: ask(int(port), "POST", "/predict", content, kind="image/jpeg")[0])

    def again(act: Callable[[int], None], turn: int, pause_s: float) -> None:
        while not stopping.wait(pause_s):
            act(turn)
            turn += 1

    work = [(look, turn, PAGE_PERIOD_S) for turn in range(int(pages))]
    work += [(send, 0, 0.0)] * int(uploaders)
    threads = [threading.Thread(target=again, args=entry, daemon=True) for entry in work]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stopping.set()
    for thread in threads:
        thread.join(10)
    print(json.dumps([asdict(tally) for tally in told]))


def _timed(tally: Tally, act: Callable[[], int]) -> None:
    began = time.perf_counter()
    status = act()
    tally.add(status, (time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    main(*sys.argv[1:])
