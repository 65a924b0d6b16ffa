"""Whether programs work on a data directory: nobody may exchange it under them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_app.turn import take

LOCK = ".in-use"
STAGE, READY = ".restore", "ready"
"""Where a restore prepares what it will put in place, and the file that says it is complete."""

WAIT_S = 10.0
"""Longer than putting a restored directory in place takes."""

log = logging.getLogger(__name__)

_held: dict[Path, int | None] = {}
"""Locks of this process, which the kernel drops with it; None where it left for a while."""


class InUse(OSError):  # noqa: N818 - a fact about the data
    """Somebody works on the data directory; one sentence."""


def restore_is_cut_off(data_dir: Path) -> bool:
    """Whether a restore was complete, and cut off before all of it was in place."""
    return (data_dir / STAGE / READY).exists()


def occupy(data_dir: Path) -> None:
    """Tell, for as long as this process lives, that it works on a data directory.

    A disk that refuses keeps no program from running.

    Raises:
        InUse: A restore is at work, or was cut off.
    """
    lock = _open(data_dir)
    if lock is not None:
        _held[data_dir] = lock
        if not take(lock, alone=False, within_s=0.0):
            raise InUse(f"a restore is at work in {data_dir}")
    if restore_is_cut_off(data_dir):
        raise InUse(f"a restore of {data_dir} was cut off: lineside restore --finish completes it")


def leave(data_dir: Path) -> None:
    """Let go of it for a while: its disk fails, and has to be unmounted."""
    if (lock := _held.get(data_dir)) is not None:
        _held[data_dir] = None
        os.close(lock)


def come_back(data_dir: Path) -> None:
    """After `leave`: work on it again.

    Raises:
        InUse: As `occupy`.
    """
    if data_dir in _held and _held[data_dir] is None:
        occupy(data_dir)


@contextmanager
def alone(data_dir: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Keep every program away from a data directory meanwhile.

    Raises:
        InUse: One works on it.
    """
    lock = _open(data_dir)
    if lock is None:
        raise InUse(f"{data_dir} can't be written")
    try:
        if not take(lock, alone=True, within_s=wait_s):
            raise InUse(
                f"programs work on {data_dir}; stop them first: "
                "systemctl stop lineside.target lineside-app.socket"
            )
        yield
    finally:
        os.close(lock)


def _open(data_dir: Path) -> int | None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        return os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        log.warning("whether %s is in use can't be said: %s", data_dir, error.strerror)
        return None
