"""Free memory goes back to the system: glibc keeps what large requests took, for each thread."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""As malloc.h numbers them."""

_OWN_MAPPING_BYTES = 12 * 1024 * 1024
"""What is larger goes back at once. A full HD picture stays below: its pages, fetched anew each
time, would take a fifth of the time of a PNG."""

_FREE_BYTES = 32 * 1024 * 1024
"""More free memory at the heap's end goes back by itself."""


def share_one_heap() -> None:
    """All threads of this process share one heap; call it before there are many.

    Else each of them gets one, up to eight for a processor, keeps 30 MB of it free behind a body
    of 15 MB, and `malloc_trim` leaves it that: it shortens the first heap only. The threads take
    turns with Python's lock anyway.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        adjust(_ARENA_MAX, 1)
        adjust(_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
        adjust(_TRIM_THRESHOLD, _FREE_BYTES)


def trimmer() -> Callable[[], object]:
    """What gives free memory back; nothing where the C library has no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return (lambda: trim(0)) if trim is not None else (lambda: None)
