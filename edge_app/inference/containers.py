"""What surrounds the pixels of a PNG or TIFF, counted before a decoder unpacks any of it."""

from __future__ import annotations

MAX_CHUNKS = 20_000
"""Chunks of a PNG; encoders write the pixels in pieces of some kilobytes."""

MAX_OTHER_CHUNKS = 200
"""Chunks that hold neither pixels nor an animation's frames."""

MAX_TAGS = 1_000
MAX_TAG_VALUES = 200_000
"""Numbers in a TIFF's first directory; a strip for each of 65,000 rows needs 130,000."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = (b"IDAT", b"fdAT", b"fcTL")

_BYTE_TYPES = (1, 2, 7)
"""Bytes, text and undefined: taken as they are. Even signed bytes become one number each."""


class TooMuch(ValueError):  # noqa: N818 - read as a sentence where it is raised
    """A file with more parts than a decoder gets through in time; the message says which."""


def check_container(content: bytes) -> None:
    """Refuse a PNG or TIFF whose parts would keep a decoder busy; pass all else.

    Raises:
        TooMuch: More chunks, tags or values than any camera or program writes.
    """
    if content[:8] == _PNG:
        _check_png(content)
    # Both of a TIFF's marks in either order: the decoder takes the wrong one too.
    elif content[:2] in (b"II", b"MM") and {*content[2:4]} in ({0, 42}, {0, 43}):
        _check_tiff(content, big=43 in content[2:4])


def _check_png(content: bytes) -> None:
    position, others, profiles = len(_PNG), 0, 0
    for _ in range(MAX_CHUNKS):
        kind = content[position + 4 : position + 8]
        if len(kind) < 4 or kind == b"IEND":
            return
        others += kind not in _PIXEL_CHUNKS
        profiles += kind == b"iCCP"
        if others > MAX_OTHER_CHUNKS:
            raise TooMuch(
                f"expected at most {MAX_OTHER_CHUNKS} PNG chunks besides pixels, got more"
            )
        if profiles > 1:
            raise TooMuch("expected at most one colour profile (iCCP) in a PNG, got several")
        position += 12 + int.from_bytes(content[position : position + 4], "big")
    raise TooMuch(f"expected at most {MAX_CHUNKS} PNG chunks, got more")


def _check_tiff(content: bytes, *, big: bool) -> None:
    little = content[:2] == b"II"

    def number(place: int, size: int) -> int:
        return int.from_bytes(content[place : place + size], "little" if little else "big")

    word, entry = (8, 20) if big else (4, 12)
    start = number(8, 8) if big else number(4, 4)
    tags = number(start, 8 if big else 2)
    if tags > MAX_TAGS:
        raise TooMuch(f"expected at most {MAX_TAGS} tags in a TIFF, got {tags}")
    first = start + (8 if big else 2)
    values = sum(
        number(place + 4, word)
        for place in range(first, first + tags * entry, entry)
        if number(place + 2, 2) not in _BYTE_TYPES
    )
    if values > MAX_TAG_VALUES:
        raise TooMuch(f"expected at most {MAX_TAG_VALUES} values in a TIFF's tags, got {values}")
