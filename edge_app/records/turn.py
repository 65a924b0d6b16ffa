"""One program at a time: a lock on a file beside the records."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 2.0
"""Who holds the lock does little with it; longer means a sick disk, and nobody waits for that."""


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
        _take(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH, within_s, path)
        yield
    finally:
        os.close(lock)


def _take(lock: int, kind: int, within_s: float, path: Path) -> None:
    ends_at = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                raise TimeoutError(f"{path.name} is held by another program") from None
            time.sleep(0.002)
        else:
            return
