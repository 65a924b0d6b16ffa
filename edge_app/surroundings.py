"""What is told of the computer itself: heat, power, clock, memory, and the disk."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Any

from edge_app.disk import Disk
from edge_app.vitals import Sensors

EVERY_S = 5.0
"""Sensors and disks change slowly, and views ask often."""


class Surroundings:
    """The computer's state, at most a few seconds old.

    Args:
        disk: The disk that matters.
        sensors: All else.
    """

    def __init__(self, disk: Disk, sensors: Sensors) -> None:
        self._disk = disk
        self._sensors = sensors
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._document: dict[str, Any] = {}

    def to_json(self) -> dict[str, Any]:
        """Vitals and disk in one document; null for what can't be read here."""
        with self._lock:
            if time.monotonic() - self._read_at >= EVERY_S:
                vitals = self._sensors.read()
                self._document = asdict(vitals) | self._disk.to_json()
                self._document["throttled"] = None if vitals.slowed is None else bool(vitals.slowed)
                self._document["strained"] = vitals.strained
                self._read_at = time.monotonic()
            return self._document
