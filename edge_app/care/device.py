"""The device that is checked: its settings and whatever its lines say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_app.config import CameraSettings, Settings
from edge_app.jobs import Job, JobError, JobStore
from edge_app.lines import LineDown, Lines

ASK_S = 2.0


@dataclass(frozen=True, slots=True)
class Device:
    """One device at one moment.

    Args:
        config: Its settings file; None where there is none.
        settings: Its settings.
        lines: What each running line said; a line that did not answer is not in it.
    """

    config: Path | None
    settings: Settings
    lines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def jobs(self) -> JobStore:
        """Its jobs."""
        return JobStore(self.settings.data_dir / "jobs")

    def jobs_of(self, camera: CameraSettings) -> list[Job]:
        """The camera's jobs that can be read: the one of the start and the preloaded ones."""
        words = [word.strip() for word in camera.preload.split(",")]
        numbers = [camera.job, *(int(word) for word in words if word.isdecimal())]
        found = []
        for number in dict.fromkeys(numbers):
            try:
                found.append(self.jobs.load(number))
            except JobError:
                continue  # the check of the jobs says so
        return found


def look_at(config: Path | None, settings: Settings) -> Device:
    """Ask the lines that run; none of them is disturbed by it."""
    asked = Lines(settings.socket_dir, list(settings.cameras))
    heard = {}
    for name in settings.cameras:
        try:
            heard[name] = asked.ask(name, "GET", "/status", timeout_s=ASK_S).json()
        except (LineDown, ValueError):
            continue
    return Device(config, settings, heard)
