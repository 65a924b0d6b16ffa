"""What a view tells of the computer itself: heat and room on the disk."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

from edge_app.box import read_heat

EVERY_S = 5.0
"""Sensors and disks change slowly, and views ask often."""


class Surroundings:
    """The computer's state, at most a few seconds old.

    Args:
        data_dir: The folder on the disk that matters.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._document: dict[str, Any] = {}

    def to_json(self) -> dict[str, Any]:
        """`celsius`, `throttled`, `free_bytes`; null for what can't be read here."""
        with self._lock:
            if time.monotonic() - self._read_at >= EVERY_S:
                self._document = self._read()
                self._read_at = time.monotonic()
            return self._document

    def _read(self) -> dict[str, Any]:
        heat = read_heat()
        try:
            free_bytes: int | None = shutil.disk_usage(self._data_dir).free
        except OSError:
            free_bytes = None
        return {"celsius": heat.celsius, "throttled": heat.throttled, "free_bytes": free_bytes}
