"""The process in which a camera's driver is called. See `isolated.py`."""

from __future__ import annotations

import contextlib
import ctypes
import json
import select
import signal
import socket
import sys
import time
from typing import Any

import numpy as np

from camera.frame import Frame
from camera.sources import Source, SourceLost, Tunable, Tuning, make_bare_source
from camera.sources.isolated import HEAD, IMAGE, JPEG, LOST, OPENED
from edge_app.config import CameraSettings

PR_SET_PDEATHSIG = 1


class _NobodyListens(Exception):  # noqa: N818 - a fact about the parent
    """The parent has let go, or has gone."""


class Child:
    """Reads one source and hands its frames over.

    Args:
        connection: The parent's end listens.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._unread = b""
        self._reads_wanted = 0
        self._tuning: Tuning | None = None

    def run(self) -> None:
        """Until the parent goes, or the camera."""
        settings = CameraSettings(**self._message()["settings"])
        source = make_bare_source(settings)
        try:
            self._message()  # the word to open it
            source.open()
            self._tell(OPENED)
            while True:
                self._serve(source)
        except (_NobodyListens, BrokenPipeError, ConnectionResetError):
            pass  # nobody is left to be told
        except SourceLost as error:
            self._last_words(str(error))
        # The loop's edge: whatever a driver raises, the parent hears of it.
        except Exception as error:  # noqa: BLE001 - the parent logs it
            self._last_words(f"{type(error).__name__}: {error}")
        finally:
            source.close()

    def _last_words(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._tell(LOST, text.encode())

    def _serve(self, source: Source) -> None:
        while source.on_demand and not self._reads_wanted:
            self._take_orders(self._message())
        while select.select([self._connection], [], [], 0)[0] or b"\n" in self._unread:
            self._take_orders(self._message())
        if self._tuning is not None and isinstance(source, Tunable):
            source.tune(self._tuning)
        self._tuning = None
        self._reads_wanted = max(0, self._reads_wanted - 1)
        self._hand_over(source.read())

    def _take_orders(self, message: dict[str, Any]) -> None:
        if "tune" in message:
            self._tuning = Tuning(**message["tune"])
        if "read" in message:
            self._reads_wanted += 1

    def _message(self) -> dict[str, Any]:
        while b"\n" not in self._unread:
            piece = self._connection.recv(65_536)
            if not piece:
                raise _NobodyListens
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def _hand_over(self, frame: Frame) -> None:
        if frame.jpeg is not None:
            self._tell(JPEG, frame.jpeg, frame)
        elif frame.image is not None:
            pixels = np.ascontiguousarray(frame.image)
            self._tell(IMAGE, pixels.data.cast("B"), frame, pixels.shape)

    def _tell(
        self,
        kind: bytes,
        content: bytes | memoryview = b"",
        frame: Frame | None = None,
        shape: tuple[int, ...] = (0, 0, 0),
    ) -> None:
        seq, captured_at = (frame.seq, frame.captured_at) if frame else (0, time.monotonic())
        self._connection.sendall(HEAD.pack(kind, seq, captured_at, *shape, len(content)))
        self._connection.sendall(content)


def main() -> None:
    """Serve the parent that started this process."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C at a terminal reaches the whole group; the parent ends us in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        Child(connection).run()


if __name__ == "__main__":
    main()
