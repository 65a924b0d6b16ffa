"""Whether the machine's clock can be believed."""

from __future__ import annotations

import ctypes
from pathlib import Path

STA_UNSYNC = 0x0040
"""The kernel's word for a clock that nobody keeps."""

TIME_ERROR = 5

SET_ONCE = "run/systemd/timesync/synchronized"
"""systemd-timesyncd makes this file when it has set the clock."""


def kernel_clock() -> bool | None:
    """Whether somebody keeps the kernel's clock; None where a filter forbids the question."""
    buffer = ctypes.create_string_buffer(512)
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)
    except (OSError, AttributeError):
        return None
    if state == -1:
        return None
    # struct timex: modes, offset, freq, maxerror, esterror, status; all longs but modes and status.
    long_bytes = ctypes.sizeof(ctypes.c_long)
    status = ctypes.c_int.from_buffer(buffer, long_bytes * 5).value
    return not (state == TIME_ERROR or status & STA_UNSYNC)


def clock_is_kept(root: Path = Path("/"), kernel: bool | None = None) -> bool | None:
    """What the kernel says; where it may not be asked, whether the clock was set at all.

    Args:
        root: Where `/run` is.
        kernel: The kernel's answer.
    """
    if kernel is not None:
        return kernel
    return True if (root / SET_ONCE).exists() else None
