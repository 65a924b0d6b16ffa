"""Whether the machine's clock can be believed."""

from __future__ import annotations

import ctypes

STA_UNSYNC = 0x0040
"""The kernel's word for a clock that nobody keeps."""

TIME_ERROR = 5


def clock_is_kept() -> bool:
    """Whether somebody keeps the kernel's clock: `adjtimex` says so without privileges."""
    buffer = ctypes.create_string_buffer(512)
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)
    except (OSError, AttributeError):
        return False
    # struct timex: modes, offset, freq, maxerror, esterror, status; all longs but modes and status.
    long_bytes = ctypes.sizeof(ctypes.c_long)
    status = ctypes.c_int.from_buffer(buffer, long_bytes * 5).value
    return state not in (-1, TIME_ERROR) and not status & STA_UNSYNC
