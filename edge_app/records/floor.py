"""Where ids go on: in a file of its own too, which no damaged database takes along."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_app.inference.durable import write_durably

FLOOR = "records.next-id"
LOCK = ".records-ids"

WITHOUT_DISK = 1 << 31
"""Ids from here on were given while the disk would not reserve any."""

log = logging.getLogger(__name__)


def read_floor(folder: Path) -> int | None:
    """The lowest id that was never given; None where it is not known."""
    try:
        text = (folder / FLOOR).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s can't be read: %s", FLOOR, error)
        return None
    if not text.isdecimal() or len(text) > 10:
        log.warning("%s is damaged: %r", FLOOR, text[:20])
        return None
    return int(text)


def write_floor(folder: Path, following: int) -> None:
    """Keep it, durably.

    Raises:
        OSError: The disk does not take it; what was there stays.
    """
    write_durably(folder / FLOOR, f"{following}\n".encode())
