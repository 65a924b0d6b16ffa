"""A drawn pattern that carries its own frame number in its pixels.

For commissioning without a camera, and for proving that an answer belongs to its frame:
the number can be read back from the picture after JPEG, resizing and all.
"""

from __future__ import annotations

import time

import cv2
import numpy as np

from camera.frame import Frame
from edge_app.inference.preprocess import Image

BITS = 32


def draw_number(number: int, width_px: int, height_px: int) -> Image:
    """A picture whose upper eighth shows `number` as 32 black and white bars, high bit left."""
    image = np.full((height_px, width_px, 3), 96, dtype=np.uint8)
    edges = np.linspace(0, width_px, BITS + 1).astype(int)
    for bit in range(BITS):
        level = 255 if number >> (BITS - 1 - bit) & 1 else 0
        image[: height_px // 8, edges[bit] : edges[bit + 1]] = level
    x = number * 7 % max(1, width_px - width_px // 8)
    cv2.rectangle(
        image,
        (x, height_px // 2),
        (x + width_px // 8, height_px * 3 // 4),
        (200, 180, 40),
        thickness=-1,
    )
    return image


def read_number(image: Image) -> int:
    """The number that `draw_number` drew."""
    height, width = image.shape[:2]
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    number = 0
    for bit in image[height // 16, centres].mean(axis=-1) > 127:
        number = number << 1 | int(bit)
    return number


class PatternSource:
    """A free-running camera that sees the pattern.

    Args:
        width_px: Picture width.
        height_px: Picture height.
        rate_hz: Frames in a second.
    """

    on_demand = False

    def __init__(self, width_px: int, height_px: int, rate_hz: float) -> None:
        self._size = width_px, height_px
        self._period_s = 1 / rate_hz
        self._seq = 0
        self._due = 0.0

    def open(self) -> None:
        """Begin now."""
        self._due = time.monotonic()

    def read(self) -> Frame:
        """Wait for the next frame's moment and draw it."""
        self._due = max(self._due + self._period_s, time.monotonic() - self._period_s)
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._seq += 1
        captured_at = time.monotonic()
        return Frame(self._seq, captured_at, image=draw_number(self._seq, *self._size))

    def close(self) -> None:
        """Nothing is held."""
