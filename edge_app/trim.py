"""Free memory goes back to the system: glibc keeps what large pictures took, for each thread."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def trimmer() -> Callable[[], object]:
    """What gives free memory back; nothing where the C library has no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return (lambda: trim(0)) if trim is not None else (lambda: None)
