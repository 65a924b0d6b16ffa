"""The thread that keeps pictures: encodes, writes, and lets the oldest go."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2

from edge_app.inference.judge import Decision
from edge_app.inference.preprocess import Image
from edge_app.records.allowance import Allowance
from edge_app.records.ring import Ring, image_name

MAX_WAITING = 8
"""Pictures in memory that wait for the disk; the next one is dropped, its record is not."""

JPEG_QUALITY = 88

TIDY_S = 1.0
"""How often an idle archive looks for what has become too old."""

ANSWER_FIRST_S = 0.002
"""An idle archive begins so long after a picture came: the answer to the part leaves just then. Not
much later: behind an answer is the best moment, before the model runs for the next one."""

log = logging.getLogger(__name__)


def encode_jpeg(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    """A picture as JPEG."""
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} can't be encoded as JPEG")
    return encoded.tobytes()


class Archive:
    """Chooses which pictures are kept, and keeps them in a ring without holding up anybody.

    Args:
        folder: One camera's pictures; nobody else writes there.
        max_bytes: Pictures kept at most.
        min_free_bytes: See `Ring`; `max_days` likewise.
        keep_ok_one_in: One in N pictures of OK parts is kept, 0 for none.
        allowance: What may be written in a day.
        chore: Done by this thread about once a second; may use the disk.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        min_free_bytes: int,
        keep_ok_one_in: int,
        max_days: int = 0,
        allowance: Allowance = Allowance(),  # noqa: B008 - without limits it has no state
        chore: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = folder.name
        self._ring = Ring(
            folder, max_bytes=max_bytes, min_free_bytes=min_free_bytes, max_days=max_days
        )
        self._keep_ok_one_in = keep_ok_one_in
        self._queue: queue.Queue[tuple[int, Callable[[], bytes]] | None] = queue.Queue(MAX_WAITING)
        self._allowance = allowance
        self._chore = chore
        self._chore_due = 0.0
        self._limited = ""
        self._written_bytes = 0
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
        return self._ring.kept_bytes

    @property
    def written_bytes(self) -> int:
        """Bytes of pictures written since the start."""
        return self._written_bytes

    @property
    def limited(self) -> str:
        """Which pictures the day's allowance does not let be kept; empty while all may be."""
        return self._allowance.said

    @property
    def exhausted(self) -> bool:
        """Whether the day's allowance lets no picture be kept any more."""
        return self._allowance.exhausted

    def wants(self, decision: Decision) -> bool:
        """Whether a picture with this verdict is to be kept; counts the OK ones."""
        if not self._allowance.lets(decision):
            return False
        if decision is not Decision.OK:
            return True
        self._ok_seen += 1
        return self._keep_ok_one_in > 0 and self._ok_seen % self._keep_ok_one_in == 0

    def place(self, inspection_id: int) -> str:
        """The name of a picture that its caller adds next; nothing where it has to be dropped.

        For who has something more urgent to do in between, and is the only one to add.
        """
        if self._queue.full():
            self._dropped += 1
            return ""
        return self._called(inspection_id)

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
        return self._called(inspection_id)

    def _called(self, inspection_id: int) -> str:
        return f"{self._name}/{image_name(inspection_id)}"

    def stop(self, within_s: float = 1.0) -> None:
        """Write what waits, as far as the disk lets it within the time given."""
        # A full queue means a stuck disk; then the thread dies with the process.
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=within_s / 2)
        self._thread.join(within_s)

    def _run(self) -> None:
        self._try(self._ring.find)
        while (entry := self._next()) is not None:
            if entry:
                self._dropped += not self._try(partial(self._keep, *entry))
            if time.monotonic() >= self._chore_due:
                self._chore_due = time.monotonic() + TIDY_S
                self._try(self._tidy, tells_recovery=False)

    def _keep(self, inspection_id: int, encode: Callable[[], bytes]) -> None:
        content = encode()
        self._ring.keep(inspection_id, content)
        self._written_bytes += len(content)

    def _tidy(self) -> None:
        # First: a disk that refuses to remove files is no reason not to look at the machine.
        self._chore()
        self._ring.expire()
        if (limited := self.limited) != self._limited:
            log.warning("%s", limited or "all pictures that are asked for are kept again")
            self._limited = limited

    def _next(self) -> tuple[int, Callable[[], bytes]] | tuple[()] | None:
        """A picture to keep; nothing after a while without one; None at the end."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            pass
        try:
            entry = self._queue.get(timeout=TIDY_S)
        except queue.Empty:
            return ()
        if entry is not None:
            time.sleep(ANSWER_FIRST_S)
        return entry

    def _try(self, work: Callable[[], object], *, tells_recovery: bool = True) -> bool:
        try:
            work()
        # The loop's edge: no picture is worth the loss of the next one.
        except Exception as error:
            if not self._failing:
                log.exception("pictures can't be kept at present")
            self._failing = str(error) or type(error).__name__
            return False
        if self._failing and tells_recovery:
            log.warning("pictures are kept again")
            self._failing = ""
        return True
