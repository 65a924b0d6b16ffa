"""What was found, drawn on the kept picture."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np

from edge_app.inference.decode import BadImage, decode_reduced
from edge_app.inference.detection import Detection
from edge_app.inference.preprocess import Image
from edge_app.records.archive import encode_jpeg
from edge_app.records.findings import Findings
from edge_app.records.small_map import LEVELS, SmallMap
from edge_app.web.errors import ApiError

LONGEST_PX = 1600
"""Longer pictures are drawn smaller: it is for people's eyes."""

PATIENCE_S = 3.0
"""One picture is drawn at a time, for each may take a few hundred megabytes while decoded."""

Colour = tuple[int, int, int]

COLOURS: tuple[Colour, ...] = (
    (0, 170, 255),
    (255, 120, 0),
    (200, 60, 200),
    (80, 200, 0),
    (60, 60, 230),
    (220, 200, 0),
)
"""Blue-green-red; none is told from another by green and red alone."""

HOT: Colour = (40, 40, 255)
COVER = 0.55
"""How much of the picture the hottest cell hides."""

_drawing = threading.BoundedSemaphore(1)


def drawn(content: bytes, findings: Findings) -> bytes:
    """A JPEG of the picture with boxes and map.

    Raises:
        ApiError: Others are being drawn, or the picture can't be read.
    """
    if not _drawing.acquire(timeout=PATIENCE_S):
        raise ApiError(503, "busy", "other pictures are being drawn; try again")
    try:
        canvas = _Canvas.of(content)
    except BadImage as error:
        raise ApiError(404, "no_picture", f"the kept picture can't be read: {error}") from error
    else:
        canvas.draw(findings)
        return encode_jpeg(canvas.image)
    finally:
        _drawing.release()


@dataclass(slots=True)
class _Canvas:
    """A picture that may be smaller than the one that was judged.

    Args:
        image: What is drawn on.
        scale: Its pixels for one of the source.
    """

    image: Image
    scale: float

    @classmethod
    def of(cls, content: bytes) -> _Canvas:
        decoded = decode_reduced(content, lambda width, height: max(width, height) / LONGEST_PX)
        image, width = decoded.image, decoded.full_size[0]
        longest = max(image.shape[:2])
        if longest > LONGEST_PX:
            share = LONGEST_PX / longest
            size = [max(1, round(side * share)) for side in image.shape[1::-1]]
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return cls(np.ascontiguousarray(image), image.shape[1] / width)

    def draw(self, findings: Findings) -> None:
        if findings.heat is not None:
            self._cover(findings.heat)
        labels = list(dict.fromkeys(found.label for found in findings.detections))
        # The surest is drawn last, over the others.
        for number, found in reversed(list(enumerate(findings.detections, 1))):
            self._box(number, found, COLOURS[labels.index(found.label) % len(COLOURS)])

    def _box(self, number: int, found: Detection, colour: Colour) -> None:
        thick = max(1, max(self.image.shape[:2]) // 400)
        sides = (found.x_min, found.y_min, found.x_max, found.y_max)
        left, top, right, bottom = (round(side * self.scale) for side in sides)
        cv2.rectangle(self.image, (left, top), (right, bottom), colour, thick)
        # OpenCV's letters are ASCII: a box of another script is told by its place in the list.
        name = found.label if found.label.isascii() else f"{number}."
        size = max(0.4, thick * 0.3)
        place = (left, top - 2 * thick if top > 12 * thick else top + round(36 * size))
        for edge, ink in ((3 * thick, (0, 0, 0)), (thick, colour)):
            text = f"{name[:40]} {found.score:.0%}"
            cv2.putText(self.image, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, edge)

    def _cover(self, heat: SmallMap) -> None:
        region = heat.region
        rows = _span(region.y, region.height, self.scale, self.image.shape[0])
        columns = _span(region.x, region.width, self.scale, self.image.shape[1])
        part = self.image[rows, columns]
        if not part.size:
            return
        colours, cover = _layer(heat)
        size = (part.shape[1], part.shape[0])
        way = cv2.INTER_NEAREST if heat.labels else cv2.INTER_LINEAR
        cover = np.asarray(cv2.resize(cover, size, interpolation=way), np.float32)[:, :, None]
        colours = np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        part[:] = (part * (1 - cover) + colours * cover).astype(np.uint8)


def _layer(heat: SmallMap) -> tuple[Image, np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """A colour for each cell, and how much of the picture it hides."""
    grid = heat.grid
    if heat.labels:
        # The class that covers most is taken for the background.
        table = np.array([(0, 0, 0), *COLOURS], np.uint8)
        places = np.where(grid == 0, 0, (grid.astype(np.intp) - 1) % len(COLOURS) + 1)
        return table[places], np.where(grid == 0, 0, COVER).astype(np.float32)
    colours = np.full((*grid.shape, 3), HOT, np.uint8)
    return colours, (grid * np.float32(COVER / LEVELS)).astype(np.float32)


def _span(start: float, length: float, scale: float, size: int) -> slice:
    first = min(max(round(start * scale), 0), size)
    return slice(first, min(max(round((start + length) * scale), first), size))
