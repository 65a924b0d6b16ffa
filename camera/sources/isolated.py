"""A camera whose driver may hang lives in a process of its own, which can be killed.

A call that blocks inside a driver can't be taken back from a thread. So the driver's calls
are made by a child process; it hands frames over a socket, and when it falls silent it is
killed and another one started. The child dies with its parent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import select
import socket
import struct
import subprocess
import sys
import time

import numpy as np

from camera.frame import Frame
from camera.sources import Knocked, Source, SourceLost, Tuning
from camera.urgency import ordinary
from edge_app.config import CameraSettings

HEAD = struct.Struct("=cQdIIII")
"""Kind, sequence, monotonic seconds, height, width, channels, bytes that follow."""

OPENED, IMAGE, JPEG, LOST = b"O", b"I", b"J", b"L"
OPEN_S = 15.0
"""The child's start on a slow card plus the slowest camera's opening."""

SILENCE_S = 1.5
"""Beyond the driver's own timeout: then the driver hangs."""

LET_GO_S = 1.0
MAX_BYTES = 256 * 1024 * 1024


class IsolatedSource:
    """A source that runs in a child process.

    Args:
        settings: Says which source; the child makes it.
        bare: The same source in this process: never opened, but it knows how to look for
            its camera.
    """

    def __init__(self, settings: CameraSettings, bare: Source) -> None:
        self.on_demand = bare.on_demand
        self._settings = settings
        self._bare = bare
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._hung = False

    def knock(self) -> str:
        """Look for the camera.

        The child starts meanwhile: a second or two on a small machine, which a camera that is
        back need not wait for.
        """
        if self._child is None:
            self._start()
        return self._bare.knock() if isinstance(self._bare, Knocked) else ""

    def open(self) -> None:
        """Wait until the child has the camera.

        Raises:
            SourceLost: It has not, and why.
        """
        if self._child is None:
            self._start()
        self._send({"open": True})
        self._receive(time.monotonic() + OPEN_S)

    def _start(self) -> None:
        self._hung = False
        ours, theirs = socket.socketpair()
        # A stream is decoded all the time, whether parts come or not.
        with theirs, ordinary():
            self._socket = ours
            self._child = subprocess.Popen(
                [sys.executable, "-m", "camera.sources.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._send({"settings": dataclasses.asdict(self._settings)})

    def tune(self, tuning: Tuning) -> None:
        """The child sets it before its next frame."""
        self._send({"tune": dataclasses.asdict(tuning)})

    def read(self) -> Frame:
        """The next frame.

        Raises:
            SourceLost: The driver says so, or it hangs.
        """
        if self.on_demand:
            self._send({"read": True})
        frame = self._receive(time.monotonic() + self._settings.read_timeout_ms / 1000 + SILENCE_S)
        if frame is None:
            raise SourceLost("the camera's process spoke out of turn")
        return frame

    def close(self) -> None:
        """End the child: whatever its driver is doing, the camera is free afterwards.

        It gets a moment to let go by itself: an industrial camera whose client just vanishes
        stays under its control for seconds.
        """
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._child is None:
            return
        if not self._hung:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(LET_GO_S)
        self._child.kill()
        # A process that hangs in the kernel dies when the kernel lets it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(LET_GO_S)
        self._child = None

    def _send(self, message: dict[str, object]) -> None:
        assert self._socket is not None, "open comes first"  # noqa: S101 - says it to mypy
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise SourceLost("the camera's process has ended") from error

    def _receive(self, until: float) -> Frame | None:
        """What the child says next; None for its word that the camera is open."""
        kind, seq, captured_at, height, width, channels, length = HEAD.unpack(
            self._take(HEAD.size, until)
        )
        if length > MAX_BYTES:
            raise SourceLost(f"the camera's process sent a frame of {length} bytes")
        content = self._take(length, until)
        if kind == LOST:
            raise SourceLost(bytes(content).decode("utf-8", "replace"))
        if kind == OPENED:
            return None
        if kind == JPEG:
            return Frame(seq, captured_at, jpeg=bytes(content))
        pixels = np.frombuffer(content, np.uint8).reshape(height, width, channels)
        return Frame(seq, captured_at, image=pixels)

    def _take(self, count: int, until: float) -> bytearray:
        assert self._socket is not None, "open comes first"  # noqa: S101 - says it to mypy
        content = bytearray(count)
        view, got = memoryview(content), 0
        while got < count:
            left_s = until - time.monotonic()
            if left_s <= 0 or not select.select([self._socket], [], [], left_s)[0]:
                self._hung = True
                raise SourceLost("the camera's driver hangs; its process is ended")
            piece = self._socket.recv_into(view[got:])
            if not piece:
                raise SourceLost("the camera's process has ended")
            got += piece
        return content
