"""What the machine itself has to say to the line, and through it to the PLC."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from edge_app.vitals import Sensors, Vitals

EVERY_S = 5.0

UNSYNCHRONISED, NTP = 0, 1
"""Values of the PLC's clock register; 2 (PTP) can't be told from NTP by the kernel's state."""


class Reads(Protocol):
    """Looks at the machine."""

    def read(self) -> Vitals: ...  # noqa: D102 - see Sensors


class Doctor:
    """Reads the machine's state, at most every few seconds.

    Args:
        sensors: What it reads.
    """

    def __init__(self, sensors: Reads | None = None) -> None:
        self._sensors: Reads = sensors or Sensors()
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._vitals = Vitals()

    def look(self) -> Vitals:
        """The machine's state, a few seconds old at most; a sensor may take its time."""
        with self._lock:
            if time.monotonic() - self._read_at >= EVERY_S:
                self._vitals = self._sensors.read()
                self._read_at = time.monotonic()
            return self._vitals

    @property
    def known(self) -> Vitals:
        """What was seen last, at once: for the inspection loop, which waits for no sensor."""
        return self._vitals

    @property
    def clock(self) -> int:
        """`UNSYNCHRONISED` or `NTP`, for the PLC."""
        return NTP if self.known.clock_kept else UNSYNCHRONISED
