"""Keeps the processors from sleeping while a part is on its way, and takes no time from anybody.

A processor that has nothing to do sleeps, and how long it takes to wake is the machine's: a few
microseconds on a board, a tenth of a millisecond and more on a virtual machine, another one each
minute. A line is woken four times on a part's way, a loop that only looks at its clock not once.

Between two parts they do sleep: whoever hosts a virtual machine grants it no more than its share,
and one that is never idle is held up for 8 ms now and then, to make up for the time that its
host's own work for it takes.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LEAD_S = 0.004
SPAN_S = 0.010
"""Awake from so long before a part until so long after, which is two usual parts: awake for
much longer they hold up the app, and the load is refused in place of being worked on."""

LOOK_S = 0.001
"""How often one that sleeps looks whether it should be awake; part of the lead."""

TURNS = 1000

UNTIL = struct.Struct("d")
"""What is shared: the moment, on the monotonic clock, until which to be awake."""


class Pace:
    """Waits for moments, with the processors awake at them.

    Args:
        until: The file that `kept_awake` shares; None to let them sleep.
    """

    def __init__(self, until: Path | None) -> None:
        self.until = until
        self._shared = _shared(until) if until is not None else None

    def wait(self, moment: float) -> None:
        """Come back at a moment of `time.perf_counter`."""
        if self._shared is not None:
            _sleep_until(moment - LEAD_S)
            UNTIL.pack_into(self._shared, 0, moment + SPAN_S)
        _sleep_until(moment)


@contextlib.contextmanager
def kept_awake() -> Iterator[Pace]:
    """Gives a pace at whose moments every processor has something to do, behind everybody else."""
    with tempfile.NamedTemporaryFile() as until:
        until.write(UNTIL.pack(0.0))
        until.flush()
        programs = [
            subprocess.Popen([sys.executable, "-m", "benchmarks.awake", until.name, str(number)])
            for number in sorted(os.sched_getaffinity(0))
        ]
        try:
            yield Pace(Path(until.name))
        finally:
            for program in programs:
                program.kill()
            for program in programs:
                program.wait()


def main(until: str, processor: str) -> None:
    """The child's part; it ends with its parent."""
    os.sched_setaffinity(0, {int(processor)})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    shared = _shared(Path(until))
    parent = os.getppid()
    while os.getppid() == parent:
        if time.perf_counter() < UNTIL.unpack_from(shared)[0]:
            for _ in range(TURNS):
                pass
        else:
            time.sleep(LOOK_S)


def _shared(until: Path) -> mmap.mmap:
    with until.open("r+b") as file:
        return mmap.mmap(file.fileno(), UNTIL.size)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.perf_counter()))


if __name__ == "__main__":
    main(*sys.argv[1:])
