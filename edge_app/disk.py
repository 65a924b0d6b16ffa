"""The disk below the data: room left, bytes written to it, and how long a card lives so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

SECTOR_BYTES = 512
"""What the kernel counts in, whatever the device's own sectors are."""

WRITTEN = 6
"""Place of the sectors written in a device's `stat`."""

DAY_S = 86_400.0
LEAST_S = 600.0
"""Before that, the start of the device itself would be taken for its habit."""


class Disk:
    """Asks the kernel about the device that a folder lies on.

    Args:
        folder: The data directory.
        endurance_tb: Terabytes that the device may be written in its life; 0: not known.
        root: Where `/sys` and `/proc` are.
    """

    def __init__(self, folder: Path, endurance_tb: float = 0.0, root: Path = Path("/")) -> None:
        self._folder = folder
        self._endurance_bytes = endurance_tb * 1e12
        self._root = root

    def to_json(self) -> dict[str, Any]:
        """Null for what can't be read here.

        The rate is the mean since the machine started, of all that wrote: programs, journal
        and the file system itself.
        """
        free, total = self._room()
        written, per_day = self._written_bytes(), None
        uptime_s = self._uptime_s()
        if written is not None and uptime_s > LEAST_S:
            per_day = written / uptime_s * DAY_S
        years = None
        if per_day and self._endurance_bytes:
            years = round(self._endurance_bytes / (per_day * 365.25), 1)
        return {
            "free_bytes": free,
            "total_bytes": total,
            "written_bytes": written,
            "written_per_day": None if per_day is None else round(per_day),
            "card_years": years,
        }

    def _room(self) -> tuple[int | None, int | None]:
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError:
            return None, None
        return usage.free, usage.total

    def _written_bytes(self) -> int | None:
        """Since the machine started; None for what is no block device, such as memory."""
        try:
            number = self._folder.stat().st_dev
            device = self._root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
            if (device / "partition").exists():
                device = device.resolve().parent
            return int((device / "stat").read_text().split()[WRITTEN]) * SECTOR_BYTES
        except (OSError, ValueError, IndexError):
            return None

    def _uptime_s(self) -> float:
        try:
            return float((self._root / "proc/uptime").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return 0.0
