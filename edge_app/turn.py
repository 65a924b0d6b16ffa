"""One program at a time: a lock on a file, which the kernel drops when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 2.0
"""Who holds the lock does little with it; longer means a sick disk, and nobody waits for that."""

AGAIN_S = 0.002


@contextmanager
def turn(path: Path, *, alone: bool = True, within_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the lock meanwhile; the kernel lets go of it for whoever dies.

    Args:
        path: The lock's file; made if absent.
        alone: Else together with others who say so.
        within_s: How long to wait for it.

    Raises:
        OSError: The disk has no lock, or somebody keeps it for too long.
    """
    lock = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        if not take(lock, alone=alone, within_s=within_s):
            raise TimeoutError(f"{path.name} is held by another program")
        yield
    finally:
        os.close(lock)


def take(lock: int, *, alone: bool, within_s: float) -> bool:
    """Lock an open file; false if another program kept it all the while.

    Raises:
        OSError: The disk has no lock.
    """
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    ends_at = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                return False
            time.sleep(AGAIN_S)
        else:
            return True
