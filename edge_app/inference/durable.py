"""Files that survive a power cut: the old content or the whole new one, never a mix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

PARTIAL_SUFFIX = ".partial"
"""Ending of a file that is being written; found after a crash, it is rubbish."""

PIECE_BYTES = 128 * 1024
"""Written at once. Most kernels let nobody else on the processor before a write returns, not even
real-time threads: one of 4 MB has held up a part for 6 ms."""


class Rights(NamedTuple):
    """Whom a file belongs to, and who may do what with it."""

    uid: int
    gid: int
    mode: int


def write_durably(path: Path, content: bytes, rights: Rights | None = None) -> None:
    """Put `content` at `path` so that at any moment the old or the whole new file is there.

    Args:
        path: The file.
        content: All of it.
        rights: The file has them before it has its content; None: as any new file.

    Raises:
        OSError: The disk is full, read-only or gone; the old file is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        with partial.open("wb") as file:
            if rights is not None:
                os.fchown(file.fileno(), rights.uid, rights.gid)
                os.fchmod(file.fileno(), rights.mode)
            write_in_pieces(file, content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_in_pieces(file: BinaryIO, content: bytes) -> None:
    """Write all of it, and let others have the processor in between.

    Raises:
        OSError: The disk does not take it.
    """
    view = memoryview(content)
    file.writelines(
        view[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES)
    )


def link_durably(path: Path, target: str) -> None:
    """Make `path` a symbolic link to `target`, replacing what was there in one step.

    Raises:
        OSError: The disk is full, read-only or gone; the old link is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL_SUFFIX}")
    try:
        partial.unlink(missing_ok=True)
        partial.symlink_to(target)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder last: they live in the folder, not in the file."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
