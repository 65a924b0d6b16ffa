"""What a JPEG file says before a pixel of it is decoded, and whether it is all there."""

from __future__ import annotations

import re
from dataclasses import dataclass

_EOI, _SOS = 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame; the other three of the range are tables."""

_ALONE = 0x01
"""The one marker besides restarts and the end that has no length behind it."""

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Within scan data, 0xFF is followed by a zero or a restart marker unless the scan ends.

The decoder skips whatever else stands between segments, and so does this.
"""

MAX_SEGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """One JPEG picture.

    Args:
        width_px: As stored, before any turning.
        height_px: As stored.
        components: 1 grey, 3 colours, 4 CMYK.
        bits: For each component.
        process: The frame's marker: 0xC0 and 0xC1 sequential, 0xC2 progressive.
        scans: How often the decoder passes over the picture.
        complete: Whether the end marker is where it belongs. Cut off anywhere, a file
            lacks it.
    """

    width_px: int
    height_px: int
    components: int
    bits: int
    process: int
    scans: int
    complete: bool


def read_jpeg_header(content: bytes) -> JpegHeader | None:
    """Walk a JPEG's segments up to the end of its first picture; None if it is no JPEG.

    Thumbnails and further pictures (MPO, Ultra HDR) lie inside segments or behind the
    end and are not looked at.
    """
    if content[:3] != b"\xff\xd8\xff":
        return None
    frame: tuple[int, int, int, int, int] | None = None
    scans, position, complete = 0, 2, False
    for _ in range(MAX_SEGMENTS):
        found = _NEXT_MARKER.search(content, position)
        if found is None:
            break
        position, marker = found.end(), content[found.end() - 1]
        if marker == _EOI:
            complete = scans > 0
            break
        if marker == _ALONE:
            continue
        length = int.from_bytes(content[position : position + 2], "big")
        if length < 2 or position + length > len(content):
            break
        if marker in _FRAMES and frame is None:
            frame = _frame(marker, content[position + 2 : position + length])
        scans += marker == _SOS
        position += length
    if frame is None:
        return None
    process, bits, height, width, components = frame
    return JpegHeader(width, height, components, bits, process, scans, complete)


def _frame(marker: int, body: bytes) -> tuple[int, int, int, int, int] | None:
    if len(body) < 6:
        return None
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    return marker, body[0], height, width, body[5]
