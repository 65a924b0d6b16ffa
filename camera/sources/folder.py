"""A folder of pictures as a triggered camera: each request takes the next one."""

from __future__ import annotations

import os
import time
from pathlib import Path

from camera.frame import Frame
from camera.sources import SourceLost

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


class FolderSource:
    """Shows the folder's pictures in the order of their names, over and over.

    Files are read when their turn comes, so that pictures may be added and taken away.

    Args:
        folder: The pictures.
    """

    on_demand = True

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._seq = 0
        self._last = ""

    def open(self) -> None:
        """Look whether there is a picture.

        Raises:
            SourceLost: The folder is absent or holds none.
        """
        self._next()

    def read(self) -> Frame:
        """The next picture.

        Raises:
            SourceLost: The folder is absent or empty now, or the file can't be read.
        """
        path = self._next()
        captured_at = time.monotonic()
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SourceLost(f"can't read {path}: {error.strerror}") from error
        self._last = path.name
        self._seq += 1
        return Frame(seq=self._seq, captured_at=captured_at, jpeg=content)

    def close(self) -> None:
        """Nothing is held."""

    def _next(self) -> Path:
        try:
            # Listed at every trigger: a Path for each name takes five times as long.
            names = sorted(n for n in os.listdir(self._folder) if n.lower().endswith(SUFFIXES))  # noqa: PTH208 - as said
        except OSError as error:
            raise SourceLost(f"folder {self._folder}: {error.strerror}") from error
        if not names:
            raise SourceLost(f"folder {self._folder} holds no picture")
        return self._folder / next((name for name in names if name > self._last), names[0])
