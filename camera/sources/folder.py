"""A folder of pictures as a triggered camera: each request takes the next one."""

from __future__ import annotations

import bisect
import os
import time

from camera.frame import Frame
from camera.sources import SourceLost

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")

LISTED_FOR_S = 1.0
"""A folder's time of change can be coarse, or a server's: it is listed anew after so long."""


class FolderSource:
    """Shows the folder's pictures in the order of their names, over and over.

    Files are read when their turn comes, so that pictures may be added and taken away. The folder
    is listed when it has changed: to list it for each part takes longer than to read the picture.

    Args:
        folder: The pictures.
    """

    on_demand = True

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._seq = 0
        self._last = ""
        self._names: list[str] = []
        self._changed_ns = -1
        self._listed_until = 0.0

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
        name = self._next()
        captured_at = time.monotonic()
        path = f"{self._folder}/{name}"
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - see _list_anew
                content = file.readall()
        except OSError as error:
            raise SourceLost(f"can't read {path}: {error.strerror}") from error
        self._last = name
        self._seq += 1
        return Frame(seq=self._seq, captured_at=captured_at, jpeg=content)

    def close(self) -> None:
        """Nothing is held."""

    def _next(self) -> str:
        try:
            self._list_anew()
        except OSError as error:
            raise SourceLost(f"folder {self._folder}: {error.strerror}") from error
        if not self._names:
            raise SourceLost(f"folder {self._folder} holds no picture")
        place = bisect.bisect_right(self._names, self._last)
        return self._names[place if place < len(self._names) else 0]

    def _list_anew(self) -> None:
        # To make a Path takes longer here than what is done with it.
        changed_ns, now = os.stat(self._folder).st_mtime_ns, time.monotonic()  # noqa: PTH116 - so
        if self._names and changed_ns == self._changed_ns and now < self._listed_until:
            return
        self._names = sorted(n for n in os.listdir(self._folder) if n.lower().endswith(SUFFIXES))  # noqa: PTH208 - so
        self._changed_ns, self._listed_until = changed_ns, now + LISTED_FOR_S
