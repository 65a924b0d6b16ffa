"""What is wrong with a disk, and what a person does about it, in words."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

FULL = "the disk is full ({error}): make room; records wait in memory and are written by themselves"
READ_ONLY = (
    "the disk is read-only ({error}): mount it writable; records wait in memory and are written "
    "by themselves"
)
FAILS = (
    "the disk fails ({error}): unmount it, check it and mount it again, or put another in its "
    "place, without a restart: records wait in memory and are written by themselves"
)
REFUSES = "the disk takes no records: {error}"

IO_ERRORS = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.EREMOTEIO, errno.ESHUTDOWN}

SQLITE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_IOERR: FAILS,
}


def trouble(error: Exception) -> str:
    """What is wrong and what to do, for an error that a disk gave."""
    return _sentence(error).format(error=str(error) or type(error).__name__)


def fails(error: Exception) -> bool:
    """Whether the disk itself is sick, so that more is needed than room or a right."""
    return _sentence(error) is FAILS


def _sentence(error: Exception) -> str:
    if isinstance(error, sqlite3.Error):
        # Absent for errors of Python's own making.
        return SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, REFUSES)
    number = error.errno if isinstance(error, OSError) else None
    if number in IO_ERRORS:
        return FAILS
    return {errno.ENOSPC: FULL, errno.EDQUOT: FULL, errno.EROFS: READ_ONLY}.get(
        number or 0, REFUSES
    )


class Mount:
    """Where the disk below a folder is mounted when the program starts.

    Without it, what is written to the folder while the disk is unmounted would go to the one
    below and be hidden when it is back; and ids would begin anew.

    Args:
        folder: It need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        point = folder.absolute()
        while not point.is_mount() and point != point.parent:
            point = point.parent
        self._point = point

    def check(self) -> None:
        """See that a disk is there.

        Raises:
            OSError: It is not.
        """
        if not self._point.is_mount():
            raise OSError(errno.ENODEV, f"no disk is mounted at {self._point}")
