"""A disk whose writes and flushes are recorded, or fail: a block device on a file of our own.

The kernel asks us for each block through FUSE, a loop device makes a disk of the file, and its
file system is the kernel's own ext4. Needs root, /dev/fuse and a free loop device.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import stat
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

BLOCK = 4096
LOOKUP, GETATTR, SETATTR, OPEN, READ, WRITE = 1, 3, 4, 14, 15, 16
RELEASE, FSYNC, FLUSH, INIT = 18, 20, 25, 26
FORGET, BATCH_FORGET = 2, 42
DIRECT_IO = 1
MAX_WRITE = 1 << 20
ASYNC_READ, BIG_WRITES, MAX_PAGES = 1, 1 << 5, 1 << 22
ROOT, FILE = 1, 2
NAME = "disk"
LAZY = 2


class Event(NamedTuple):
    """A write, or a flush of all writes before it; when it came, in monotonic seconds."""

    at: float
    offset: int
    content: bytes | None


class Disk:
    """The file and the disk on it.

    Args:
        folder: For the mount points; empty.
        size: Bytes.
        journal: Whether ext4 keeps one; with it a failed write makes it read-only until it is
            mounted anew.
    """

    def __init__(self, folder: Path, size: int, *, journal: bool = True) -> None:
        self._content = bytearray(size)
        self.events: list[Event] = []
        self.failing = False
        self._fuse_at, self.path = folder / "fuse", folder / "mount"
        self._fuse_at.mkdir()
        self.path.mkdir()
        self._device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._device},rootmode=40000,user_id=0,group_id=0"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"lineside", os.fsencode(self._fuse_at), b"fuse", 0, options.encode()):
            raise OSError(ctypes.get_errno(), "FUSE can't be mounted")
        threading.Thread(target=self._serve, name="disk", daemon=True).start()
        self._loop = _run("losetup", "--find", "--show", str(self._fuse_at / NAME)).strip()
        features = [] if journal else ["-O", "^has_journal"]
        _run("mkfs.ext4", "-q", "-E", "nodiscard", *features, self._loop)
        self.mount()

    def mount(self) -> None:
        """Mount it, after a check as at boot."""
        _run("e2fsck", "-p", self._loop, check=False)
        _run("mount", "-o", "nodiscard,errors=remount-ro", self._loop, str(self.path))

    def unmount(self) -> bool:
        """Take its file system away; false while a program has a file open on it."""
        _run("umount", str(self.path), check=False)
        return not self.path.is_mount()

    def fill(self) -> None:
        """Take all that is left of it, also what ext4 held back while it was not written yet."""
        with self.filling.open("wb") as file:
            for size in (1 << 20, BLOCK, 1 << 20, BLOCK):
                try:
                    while os.write(file.fileno(), bytes(size)):
                        pass
                except OSError:
                    os.fsync(file.fileno())

    @property
    def filling(self) -> Path:
        """The file that takes it."""
        return self.path / "filling"

    def remount(self, how: str) -> None:
        """Read-only (`ro`) or not (`rw`); refused while somebody writes."""
        _run("mount", "-o", f"remount,{how}", str(self.path))

    def close(self) -> None:
        """Take it away."""
        _run("umount", "-l", str(self.path), check=False)
        _run("losetup", "-d", self._loop, check=False)
        _run("umount", "-l", str(self._fuse_at), check=False)

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._device, MAX_WRITE + BLOCK)
            except OSError as error:
                if error.errno == errno.EINTR:
                    continue
                return
            _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
            if opcode in (FORGET, BATCH_FORGET):
                continue
            try:
                error_number, reply = 0, self._answer(opcode, node, request[40:])
            except OSError as error:
                error_number, reply = -(error.errno or errno.EIO), b""
            head = struct.pack("<IiQ", 16 + len(reply), error_number, unique)
            os.write(self._device, head + reply)

    def _answer(self, opcode: int, node: int, body: bytes) -> bytes:
        if opcode == INIT:
            flags = ASYNC_READ | BIG_WRITES | MAX_PAGES
            return struct.pack(
                "<IIIIHHIIHHI28x", 7, 31, 1 << 17, flags, 16, 12, MAX_WRITE, 1, 256, 0, 0
            )
        if opcode == LOOKUP:
            if body.rstrip(b"\0") != NAME.encode():
                raise OSError(errno.ENOENT, "there is one file")
            return struct.pack("<QQQQII", FILE, 0, 3600, 3600, 0, 0) + self._attributes(FILE)
        if opcode in (GETATTR, SETATTR):
            return struct.pack("<QII", 3600, 0, 0) + self._attributes(node)
        if opcode == OPEN:
            return struct.pack("<QII", 0, DIRECT_IO, 0)
        if opcode in (RELEASE, FLUSH):
            return b""
        return self._transfer(opcode, body)

    def _transfer(self, opcode: int, body: bytes) -> bytes:
        if opcode == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return bytes(self._content[offset : offset + size])
        if opcode not in (WRITE, FSYNC):
            raise OSError(errno.ENOSYS, "not needed")
        if self.failing:
            raise OSError(errno.EIO, "as told")
        if opcode == FSYNC:
            self.events.append(Event(time.monotonic(), 0, None))
            return b""
        _, offset, size = struct.unpack_from("<QQI", body)
        content = body[40 : 40 + size]
        self._content[offset : offset + size] = content
        self.events.append(Event(time.monotonic(), offset, content))
        return struct.pack("<II", size, 0)

    def _attributes(self, node: int) -> bytes:
        folder = node == ROOT
        size = 0 if folder else len(self._content)
        mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | 0o600
        return struct.pack(
            "<QQQQQQIIIIIIIIII", node, size, size // 512, *[0] * 6, mode, 1, 0, 0, 0, BLOCK, 0
        )


def after_cut(events: list[Event], size: int, cut: int, dice: random.Random) -> bytearray:
    """The disk when the power went at the event `cut`.

    What was flushed is there. Of what was written since then any part may be, block by block,
    as the disk's own cache happened to write it out.
    """
    flushed = max((i for i in range(cut) if events[i].content is None), default=0)
    content = bytearray(size)
    for place, event in enumerate(events[:cut]):
        if event.content is None:
            continue
        for begin in range(0, len(event.content), BLOCK):
            if place < flushed or dice.random() < 0.5:
                piece = event.content[begin : begin + BLOCK]
                content[event.offset + begin : event.offset + begin + len(piece)] = piece
    return content


def _run(*words: str, check: bool = True) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if check and done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
