"""What the machine itself has to say: how hot it is, and whether its clock can be believed."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from edge_app.clock import clock_is_kept

HOT_C = 80.0
"""A Raspberry Pi slows its clock down from here on: answers begin to come late."""

EVERY_S = 5.0

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
                clock = NTP if clock_is_kept() else UNSYNCHRONISED
                self._health = Health(self._temperature_c(), clock)
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
