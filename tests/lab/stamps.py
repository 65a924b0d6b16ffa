"""What a camera's picture tells of the moment at which it was made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camera.sources.pattern import read_number
from edge_app.inference.preprocess import Image

RAMP_LEVELS = 255
"""Aravis' simulated camera draws a diagonal ramp that moves by one level with each frame
(arvfakecamera.c: value = (x + y + frame) % 255)."""

RAMP_PERIOD_MS = 40.0
"""It gives 25 frames a second, and leaves none out."""

GLYPHS = (
    "386cc6c6d6d6c6c66c38",
    "1838781818181818187e",
    "7cc6060c183060c0c6fe",
    "7cc606063c060606c67c",
    "0c1c3c6cccfe0c0c0c1e",
    "fec0c0c0fc060606c67c",
    "3860c0c0fcc6c6c6c67c",
    "fec606060c1830303030",
    "7cc6c6c67cc6c6c6c67c",
    "7cc6c6c67e0606060c78",
)
"""The kernel's digits in its font of 8 x 16 pixels, a byte a row, without the empty rows."""

TEXT_AT_PX, GLYPH_PX, FIRST_ROW = (24, 16), (8, 16), 2
"""Where vivid writes hh:mm:ss:mmm, counted from the stream's beginning."""

DIGITS_MS = {0: 36e6, 1: 3.6e6, 3: 6e5, 4: 6e4, 6: 1e4, 7: 1e3, 9: 100.0, 10: 10.0, 11: 1.0}
"""What a digit is worth, by its place in the text."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A clock that pictures show.

    Args:
        read_ms: Reads it.
        wrap_ms: It begins anew after so long.
        own: It began at a moment that nobody knows, another one in each life of the camera; else
            it is the machine's monotonic clock.
    """

    read_ms: Callable[[Image], float]
    wrap_ms: float
    own: bool


def ramp_ms(image: Image) -> float:
    """Time by the number of the frame, from the ramp's place: all pixels together."""
    grey = image[..., 0].astype(np.float64)
    rows, columns = np.ogrid[: grey.shape[0], : grey.shape[1]]
    turns = grey / grey.max() - (rows + columns) / RAMP_LEVELS
    mean = np.exp(2j * math.pi * turns).mean()
    frame = round(float(np.angle(mean)) / (2 * math.pi) * RAMP_LEVELS) % RAMP_LEVELS
    return frame * RAMP_PERIOD_MS


def osd_ms(image: Image) -> float:
    """Time as vivid writes it into its pictures.

    Raises:
        ValueError: There is no digit where one should be.
    """
    (left, top), (width, height) = TEXT_AT_PX, GLYPH_PX
    text = image[top : top + height, left:, 1] > 96
    return sum(
        worth * _digit(text[:, width * place : width * (place + 1)])
        for place, worth in DIGITS_MS.items()
    )


def _digit(cell: npt.NDArray[np.bool_]) -> int:
    rows = np.packbits(cell, axis=1)[FIRST_ROW : FIRST_ROW + 10]
    if (drawn := rows.tobytes().hex()) not in GLYPHS:
        raise ValueError(f"expected a digit of the kernel's font, got {drawn}")
    return GLYPHS.index(drawn)


TIMECODE = Stamp(read_number, 2.0**32, own=False)
RAMP = Stamp(ramp_ms, RAMP_LEVELS * RAMP_PERIOD_MS, own=True)
OSD = Stamp(osd_ms, 24 * 3.6e6, own=True)
