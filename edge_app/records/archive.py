"""The thread that keeps pictures: encodes, writes, and lets the oldest go."""

from __future__ import annotations

import contextlib
import logging
import queue
import shutil
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import cv2

from edge_app.inference.judge import Decision
from edge_app.inference.preprocess import Image

MAX_WAITING = 8
"""Pictures in memory that wait for the disk; the next one is dropped, its record is not."""

JPEG_QUALITY = 88
PER_FOLDER = 1000

log = logging.getLogger(__name__)


def image_name(inspection_id: int) -> str:
    """Where an inspection's picture lies, below its camera's folder."""
    return f"{inspection_id // PER_FOLDER:07d}/{inspection_id:010d}.jpg"


def encode_jpeg(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    """A picture as JPEG."""
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} can't be encoded as JPEG")
    return encoded.tobytes()


class Archive:
    """A ring of pictures by inspection id, within a number of bytes and above a free-space floor.

    Args:
        folder: One camera's pictures; nobody else writes there.
        max_bytes: Pictures kept at most.
        min_free_bytes: Below this much free disk nothing is written.
        keep_ok_one_in: One in N pictures of OK parts is kept, 0 for none.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int, min_free_bytes: int, keep_ok_one_in: int
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._keep_ok_one_in = keep_ok_one_in
        self._queue: queue.Queue[tuple[int, Callable[[], bytes]] | None] = queue.Queue(MAX_WAITING)
        self._kept: deque[tuple[Path, int]] = deque()
        self._kept_bytes = 0
        self._ok_seen = 0
        self._dropped = 0
        self._failing = ""
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)

    def start(self) -> None:
        """Begin keeping pictures."""
        self._thread.start()

    @property
    def failing(self) -> str:
        """Why the disk takes no pictures at present; empty when it does."""
        return self._failing

    @property
    def dropped(self) -> int:
        """Pictures given up because the disk was slow, full or failing."""
        return self._dropped

    @property
    def kept_bytes(self) -> int:
        """Bytes of pictures on disk."""
        return self._kept_bytes

    def wants(self, decision: Decision) -> bool:
        """Whether a picture with this verdict is to be kept; counts the OK ones."""
        if decision is not Decision.OK:
            return True
        self._ok_seen += 1
        return self._keep_ok_one_in > 0 and self._ok_seen % self._keep_ok_one_in == 0

    def add(self, inspection_id: int, encode: Callable[[], bytes]) -> str:
        """Queue a picture; returns its name, or nothing when it had to be dropped.

        Args:
            inspection_id: Whose picture it is.
            encode: Gives the file's bytes; called in the archive's thread.
        """
        try:
            self._queue.put_nowait((inspection_id, encode))
        except queue.Full:
            self._dropped += 1
            return ""
        return f"{self._folder.name}/{image_name(inspection_id)}"

    def stop(self, within_s: float = 1.0) -> None:
        """Write what waits, as far as the disk lets it within the time given."""
        # A full queue means a stuck disk; then the thread dies with the process.
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=within_s / 2)
        self._thread.join(within_s)

    def _run(self) -> None:
        self._find_kept()
        while (entry := self._queue.get()) is not None:
            try:
                self._keep(*entry)
            # The loop's edge: no picture is worth the loss of the next one.
            except Exception as error:
                self._dropped += 1
                if not self._failing:
                    log.exception("pictures can't be kept at present")
                self._failing = str(error) or type(error).__name__
            else:
                if self._failing:
                    log.warning("pictures are kept again")
                self._failing = ""

    def _find_kept(self) -> None:
        # Names sort by inspection id, and only they decide: file times lie after clock steps.
        for path in sorted(self._folder.glob("*/*.jpg")):
            size = path.stat().st_size
            self._kept.append((path, size))
            self._kept_bytes += size

    def _keep(self, inspection_id: int, encode: Callable[[], bytes]) -> None:
        content = encode()
        path = self._folder / image_name(inspection_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._make_room(len(content))
        free = shutil.disk_usage(self._folder).free
        if free - len(content) < self._min_free_bytes:
            raise OSError(f"only {free // 1_000_000} MB of disk are free")
        partial = path.with_suffix(".partial")
        partial.write_bytes(content)
        partial.replace(path)
        self._kept.append((path, len(content)))
        self._kept_bytes += len(content)

    def _make_room(self, wanted_bytes: int) -> None:
        while self._kept and self._kept_bytes + wanted_bytes > self._max_bytes:
            path, size = self._kept.popleft()
            path.unlink(missing_ok=True)
            self._kept_bytes -= size
            with contextlib.suppress(OSError):  # not empty yet
                path.parent.rmdir()
