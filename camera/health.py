"""What the machine itself has to say: how hot it is, and whether its clock can be believed."""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import dataclass
from pathlib import Path

HOT_C = 80.0
"""A Raspberry Pi slows its clock down from here on: answers begin to come late."""

EVERY_S = 5.0

STA_UNSYNC = 0x0040
"""The kernel's word for a clock that nobody keeps."""

UNSYNCHRONISED, NTP = 0, 1
"""Values of the PLC's clock register; 2 (PTP) can't be told from NTP by the kernel's state."""


@dataclass(frozen=True, slots=True)
class Health:
    """The machine at one moment.

    Args:
        temperature_c: The hottest sensor; 0 where there is none.
        clock: `UNSYNCHRONISED` or `NTP`.
    """

    temperature_c: float = 0.0
    clock: int = UNSYNCHRONISED

    @property
    def hot(self) -> bool:
        """Whether heat is about to slow the machine down."""
        return self.temperature_c >= HOT_C


class Doctor:
    """Reads the machine's state, at most every few seconds.

    Args:
        sensors: Where the kernel shows its sensors.
    """

    def __init__(self, sensors: Path = Path("/sys/class/thermal")) -> None:
        self._sensors = sensors
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._health = Health()

    def health(self) -> Health:
        """The machine's state, a few seconds old at most."""
        with self._lock:
            if time.monotonic() - self._read_at >= EVERY_S:
                self._health = Health(self._temperature_c(), _clock_state())
                self._read_at = time.monotonic()
            return self._health

    def _temperature_c(self) -> float:
        found = [0.0]
        for sensor in self._sensors.glob("thermal_zone*/temp"):
            try:
                found.append(int(sensor.read_text()) / 1000)
            except (OSError, ValueError):  # some sensors answer only at times
                continue
        return max(found)


def _clock_state() -> int:
    """Whether the kernel's clock is kept by somebody: `adjtimex` says so without privileges."""
    buffer = ctypes.create_string_buffer(512)
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)
    except (OSError, AttributeError):
        return UNSYNCHRONISED
    # struct timex: modes, offset, freq, maxerror, esterror, status; all longs but modes and status.
    long_bytes = ctypes.sizeof(ctypes.c_long)
    status = ctypes.c_int.from_buffer(buffer, long_bytes * 5).value
    # TIME_ERROR (5) is what the kernel answers when nobody keeps the clock.
    return UNSYNCHRONISED if state in (-1, 5) or status & STA_UNSYNC else NTP
