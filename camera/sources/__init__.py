"""Where frames come from: one small file for each kind, behind one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from camera.frame import Frame
from edge_app.config import CameraSettings, ConfigError


class SourceLost(Exception):  # noqa: N818 - a fact about the camera, read as a sentence where it is raised
    """The camera gives no more frames; it has to be opened again. Names the camera, no secrets."""


class Source(Protocol):
    """A camera, or what stands for one. Only the thread that opened it may touch it.

    Attributes:
        on_demand: True where a frame is exposed when it is asked for (a triggered
            camera, a folder of pictures); False where frames come by themselves.
    """

    on_demand: bool

    def open(self) -> None:
        """Take hold of the camera.

        Raises:
            SourceLost: It can't be had at present; worth another try.
        """

    def read(self) -> Frame:
        """The next frame; blocks for at most a second or two.

        Raises:
            SourceLost: None came.
        """

    def close(self) -> None:
        """Let go of the camera; never raises, may be called twice."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a job asks of the camera.

    Args:
        exposure_us: Exposure time in microseconds; 0 leaves it as it is.
        gain: Gain in the camera's own unit; -1 leaves it as it is.
    """

    exposure_us: float = 0.0
    gain: float = -1.0


@runtime_checkable
class Tunable(Protocol):
    """A source whose exposure can be set while it runs."""

    def tune(self, tuning: Tuning) -> None:
        """Set what is asked for.

        Raises:
            SourceLost: The camera does not answer.
        """


def make_source(settings: CameraSettings) -> Source:
    """The source that the settings name; it is not opened yet.

    Each kind's module is imported only when it is asked for: some need libraries that
    not every device has.

    Raises:
        ConfigError: The kind is not known, or its address is wrong.
    """
    kind, _, address = settings.source.partition(":")
    if kind == "folder":
        from camera.sources.folder import FolderSource  # noqa: PLC0415 - only what is asked for

        return FolderSource(address)
    if kind == "pattern":
        from camera.sources.pattern import PatternSource  # noqa: PLC0415 - only what is asked for

        return PatternSource(
            width_px=settings.width_px or 640,
            height_px=settings.height_px or 480,
            rate_hz=settings.frame_rate_hz or 25,
        )
    raise ConfigError(f"source {settings.source!r}: expected folder:PATH or pattern:")
