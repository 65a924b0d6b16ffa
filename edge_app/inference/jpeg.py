"""What a JPEG file says before a pixel of it is decoded, and whether it is all there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from edge_app.inference.containers import TooMuch

_EOI, _SOS = 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame; the other three of the range are tables."""

_ALONE = 0x01
"""The one marker besides restarts and the end that has no length behind it."""

_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Within scan data, 0xFF is followed by a zero or a restart marker unless the scan ends.

The decoder skips whatever else stands between segments, and so does this.
"""

_KNOWN = {0x01, *range(0xC0, 0xD0), *range(0xD9, 0xDE), *range(0xE0, 0xF0), 0xFE}
"""Markers that the decoders accept. They disagree about whether others have a length."""

_APP1 = 0xE1

MAX_SEGMENTS = 1_000
"""A profile or a gain map in pieces of 64 KiB, with a dozen scans, stays far below."""

MAX_EXIF_BYTES = 1024 * 1024
MAX_JUNK_BYTES = 64 * 1024
"""Bytes between segments before the first scan, which one decoder skips one by one."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """One JPEG picture.

    Args:
        width_px: As stored, before any turning.
        height_px: As stored.
        components: 1 grey, 3 colours, 4 CMYK.
        samples: Values kept for a pixel: 3 in full colour, 1.5 with colours at half size.
        bits: For each component.
        process: The frame's marker: 0xC0 and 0xC1 sequential, 0xC2 progressive.
        scans: How often the decoder passes over the picture.
        complete: Whether the end marker is where it belongs. Cut off anywhere, a file
            lacks it.
    """

    width_px: int
    height_px: int
    components: int
    samples: float
    bits: int
    process: int
    scans: int
    complete: bool


def read_jpeg_header(content: bytes) -> JpegHeader | None:
    """Walk a JPEG's segments up to the end of its first picture; None if it is no JPEG.

    Thumbnails and further pictures (MPO, Ultra HDR) lie inside segments or behind the
    end and are not looked at.

    Raises:
        TooMuch: More segments, EXIF or bytes between segments than a decoder gets through.
        ValueError: No picture begins in it.
    """
    if content[:3] != b"\xff\xd8\xff":
        return None
    frame: tuple[int, int, int, int, int, float] | None = None
    scans, exif_bytes, complete = 0, 0, False
    for marker, start, end in _segments(content):
        complete = marker == _EOI and scans > 0
        if marker in _FRAMES and frame is None:
            frame = _frame(marker, content[start + 2 : end])
        if marker == _APP1 and content[start + 2 : start + 6] == b"Exif":
            exif_bytes += end - start
        if exif_bytes > MAX_EXIF_BYTES:
            raise TooMuch(f"expected at most {MAX_EXIF_BYTES} bytes of EXIF in a JPEG, got more")
        scans += marker == _SOS
    if frame is None or not scans:
        raise ValueError("picture is damaged or truncated: a JPEG without a frame and a scan")
    process, bits, height, width, components, samples = frame
    return JpegHeader(width, height, components, samples, bits, process, scans, complete)


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment, up to the end mark or where the file is broken."""
    position, junk_bytes, scanning = 2, 0, False
    for _ in range(MAX_SEGMENTS):
        found = _NEXT_MARKER.search(content, position)
        if found is None:
            return
        if not scanning:
            junk_bytes += found.start() - position
        if junk_bytes > MAX_JUNK_BYTES:
            raise TooMuch(f"expected segments in a JPEG, got {junk_bytes} bytes between them")
        start, marker = found.end(), content[found.end() - 1]
        alone = marker in (_ALONE, _EOI)
        length = 0 if alone else int.from_bytes(content[start : start + 2], "big")
        position = start + length
        if marker not in _KNOWN or (length < 2 and not alone) or position > len(content):
            return
        yield marker, start, position
        if marker == _EOI:
            return
        scanning = scanning or marker == _SOS
    raise TooMuch(f"expected at most {MAX_SEGMENTS} segments in a JPEG, got more")


def _frame(marker: int, body: bytes) -> tuple[int, int, int, int, int, float] | None:
    if len(body) < 6:
        return None
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    return marker, body[0], height, width, body[5], _samples(body)


def _samples(body: bytes) -> float:
    """What the sampling factors of a frame's components come to, against the largest ones."""
    factors = [divmod(both, 16) for both in body[7 : 6 + 3 * body[5] : 3]]
    if len(factors) != body[5] or not all(1 <= f <= 4 for pair in factors for f in pair):
        return float(body[5])  # no decoder takes it
    most = max(h for h, _ in factors) * max(v for _, v in factors)
    return sum(h * v for h, v in factors) / most
