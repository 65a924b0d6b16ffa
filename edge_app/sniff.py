"""What a picture file is and how large, from its first bytes: neither names nor types are believed.

Much quicker than opening it; what can't be told quickly is left to the decoder.
"""

from __future__ import annotations

KINDS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"GIF8", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
)
UNKNOWN = "application/octet-stream"

STANDALONE = (0x01, *range(0xD0, 0xD9))
FRAMES = tuple(marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC))
"""JPEG's start-of-frame markers; the three left out are tables of other kinds."""

MAX_SEGMENTS = 200


def media_type(content: bytes) -> str:
    """The picture's media type, or that of plain bytes."""
    for offset, mark, kind in KINDS:
        if content[offset : offset + len(mark)] == mark:
            return kind
    return UNKNOWN


def megapixels(content: bytes) -> float:
    """Width x height in millions as a JPEG's or PNG's header tells it; 0 where it can't be told."""
    kind = media_type(content)
    if kind == "image/png" and len(content) >= 24:
        return _number(content, 16, 4) * _number(content, 20, 4) / 1e6
    if kind == "image/jpeg":
        return _jpeg_pixels(content) / 1e6
    return 0.0


def _jpeg_pixels(content: bytes) -> int:
    place = 2
    for _ in range(MAX_SEGMENTS):
        if place + 9 > len(content) or content[place] != 0xFF:
            return 0
        marker = content[place + 1]
        if marker in FRAMES:
            return _number(content, place + 5, 2) * _number(content, place + 7, 2)
        # A run of fill bytes is allowed before a marker.
        fill = marker == 0xFF
        place += 1 if fill else 2 if marker in STANDALONE else 2 + _number(content, place + 2, 2)
    return 0


def _number(content: bytes, place: int, size: int) -> int:
    return int.from_bytes(content[place : place + size], "big")
