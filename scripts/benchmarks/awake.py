"""Keeps the processors from going to sleep between two parts, and takes no time from anybody.

A processor that has nothing to do sleeps, and how long it takes to wake is the machine's: a few
microseconds on a board, a tenth of a millisecond and more on a virtual machine, another one each
minute. A line is woken four times on a part's way, a loop that only looks at its clock not once.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

TURNS = 100_000


@contextlib.contextmanager
def kept_awake() -> Iterator[None]:
    """Every processor has something to do while the block runs, behind everybody else."""
    programs = [
        subprocess.Popen([sys.executable, "-m", "benchmarks.awake", str(number)])
        for number in sorted(os.sched_getaffinity(0))
    ]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
        for program in programs:
            program.wait()


def main(processor: str) -> None:
    """The child's part; it ends with its parent."""
    os.sched_setaffinity(0, {int(processor)})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    parent = os.getppid()
    while os.getppid() == parent:
        for _ in range(TURNS):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
