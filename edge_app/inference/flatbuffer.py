"""A reader for flatbuffers of unknown origin: every offset is checked before it is followed.

TFLite's own parser needs a runtime, and on a damaged file it may crash the process.
This one needs nothing and raises `ValueError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_ENTRIES = 100_000
"""Longest list of tables that is walked; real models have a few thousand tensors."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a flatbuffer; fields are told by their number in the schema.

    Args:
        data: The whole buffer.
        position: Where the table begins.
    """

    data: bytes
    position: int

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that a buffer begins with.

        Raises:
            ValueError: The buffer is too short or points outside itself.
        """
        return cls(data, _number(data, 0, "<I"))

    def table(self, field: int) -> Table | None:
        """The table that a field refers to."""
        place = self._place(field)
        return None if place is None else Table(self.data, _follow(self.data, place))

    def tables(self, field: int) -> Iterator[Table]:
        """The tables of a field that is a list of them."""
        start, count = self._vector(field)
        if count > MAX_ENTRIES:
            raise ValueError(f"a list of {count} entries is longer than any model has")
        for entry in range(count):
            yield Table(self.data, _follow(self.data, start + 4 * entry))

    def text(self, field: int) -> str:
        """A text field; empty where it is not set."""
        return self.bytes(field).decode("utf-8", "replace")

    def bytes(self, field: int) -> bytes:
        """The bytes of a text or of a list of bytes; empty where it is not set."""
        start, count = self._vector(field)
        if start + count > len(self.data):
            raise ValueError(f"a field of {count} bytes reaches beyond the end")
        return self.data[start : start + count]

    def number(self, field: int, form: str, default: float = 0) -> int | float:
        """A number field in `struct`'s notation, without byte order."""
        place = self._place(field)
        return default if place is None else _number(self.data, place, f"<{form}")

    def integer(self, field: int, form: str, default: int = 0) -> int:
        """The same for a field that holds an integer."""
        return int(self.number(field, form, default))

    def numbers(self, field: int, form: str) -> tuple[float, ...]:
        """A list of numbers; empty where it is not set."""
        start, count = self._vector(field)
        size = struct.calcsize(form)
        if start + count * size > len(self.data):
            raise ValueError(f"a list of {count} numbers reaches beyond the end")
        return struct.unpack_from(f"<{count}{form}", self.data, start) if count else ()

    def _vector(self, field: int) -> tuple[int, int]:
        place = self._place(field)
        if place is None:
            return 0, 0
        start = _follow(self.data, place)
        return start + 4, _unsigned(self.data, start)

    def _place(self, field: int) -> int | None:
        """Where a field's value lies; None where the table leaves it out."""
        vtable = self.position - _signed(self.data, self.position)
        if vtable < 0:
            raise ValueError("a table's layout lies outside the file")
        entry = 4 + 2 * field
        if entry + 2 > int(_number(self.data, vtable, "<H")):
            return None
        offset = int(_number(self.data, vtable + entry, "<H"))
        return self.position + offset if offset else None


def _follow(data: bytes, place: int) -> int:
    return place + _unsigned(data, place)


def _unsigned(data: bytes, place: int) -> int:
    return _number(data, place, "<I")


def _signed(data: bytes, place: int) -> int:
    return _number(data, place, "<i")


def _number(data: bytes, place: int, form: str) -> int:
    try:
        value: int = struct.unpack_from(form, data, place)[0]
    except struct.error:
        raise ValueError(f"offset {place} lies outside the file") from None
    return value
