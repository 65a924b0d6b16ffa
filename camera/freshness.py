"""Tells a new picture from one that was seen before: repeated, out of order, or frozen."""

from __future__ import annotations

import zlib

import numpy as np

from camera.frame import Frame

ROWS_BETWEEN = 16
"""Every sixteenth row decides whether a picture is the same as the one before: sensor noise
alone changes each of them, and the whole of it would cost milliseconds."""


class Freshness:
    """Watches the frames of one opened source, in the order in which they came.

    Args:
        frozen_s: Pictures that have been the same, bit for bit, for this long are a frozen
            camera's; 0 never says so.
    """

    def __init__(self, frozen_s: float) -> None:
        self._frozen_s = frozen_s
        self._seq = -1
        self._captured_at = float("-inf")
        self._print = 0
        self._same_since = float("-inf")
        self.frozen = False

    def fault(self, frame: Frame) -> str:
        """Why this frame must not be judged as if it were new; empty if it may.

        A frame that came too late to be new changes nothing about what is remembered.
        """
        if frame.seq == self._seq:
            return f"frame {frame.seq} came twice"
        if frame.seq < self._seq:
            return f"frame {frame.seq} came after frame {self._seq}"
        if frame.captured_at < self._captured_at:
            return f"frame {frame.seq} is older than the one before it"
        self._seq, self._captured_at = frame.seq, frame.captured_at
        return self._frozen(frame)

    def _frozen(self, frame: Frame) -> str:
        if not self._frozen_s:
            return ""
        fingerprint = picture_print(frame)
        if fingerprint != self._print:
            self._print, self._same_since = fingerprint, frame.captured_at
            self.frozen = False
            return ""
        same_s = frame.captured_at - self._same_since
        self.frozen = same_s >= self._frozen_s
        if not self.frozen:
            return ""
        return f"the picture has not changed for {same_s:.0f} s: the camera is frozen"


def picture_print(frame: Frame) -> int:
    """A number that is the same for two frames only if their pictures are."""
    if frame.jpeg is not None:
        return zlib.crc32(frame.jpeg)
    if frame.image is None:
        return 0
    return zlib.crc32(np.ascontiguousarray(frame.image[::ROWS_BETWEEN]).data)
