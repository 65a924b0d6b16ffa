"""Where frames come from: one small file for each kind, behind one protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from camera.frame import Frame
from edge_app.config import CameraSettings, ConfigError
from edge_app.secret import redacted, with_credentials


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


@runtime_checkable
class Knocked(Protocol):
    """A source whose camera can be looked for cheaply: no opening is spent on nobody."""

    def knock(self) -> str:
        """Why the camera can't be had at present; empty if it seems to be there."""


KINDS = (
    "folder:PATH, pattern:, v4l2:DEVICE, rtsp://..., http://..., file:PATH, "
    "aravis:ADDRESS or picamera:[NUMBER]"
)

LATENCY_MS = {"rtsp": 100.0, "rtsps": 100.0, "http": 50.0, "https": 50.0, "aravis": 50.0}
"""From the exposure to the arrival where the source does not tell: a frame counts as exposed
this much before it came, so that one made before a trigger is not taken for one made after."""

MAY_HANG = frozenset({"v4l2", "rtsp", "rtsps", "aravis", "picamera"})
"""Kinds whose library may block for ever in a call."""


def make_source(settings: CameraSettings) -> Source:
    """The source that the settings name, in a process of its own where its library may hang.

    Raises:
        ConfigError: The kind is not known, its address is wrong, or its secret can't be had.
    """
    # From here on the secret is in memory only, and in what the child is told over its socket.
    address = with_credentials(settings.source, settings.credentials)
    settings = replace(settings, source=address, credentials="")
    source = make_bare_source(settings)
    kind = settings.source.partition(":")[0].lower()
    if settings.isolated and kind in MAY_HANG:
        from camera.sources.isolated import IsolatedSource  # noqa: PLC0415 - only what is asked for

        return IsolatedSource(settings, source)
    return source


def make_bare_source(settings: CameraSettings) -> Source:
    """The source that the settings name, in this process; it is not opened yet.

    Each kind's module is imported only when it is asked for: some need libraries that
    not every device has.

    Raises:
        ConfigError: The kind is not known, or its address is wrong.
    """
    kind, _, address = settings.source.partition(":")
    make = {
        "folder": _folder,
        "pattern": _pattern,
        "v4l2": _v4l2,
        "rtsp": _rtsp,
        "rtsps": _rtsp,
        "http": _mjpeg,
        "https": _mjpeg,
        "file": _file,
        "aravis": _aravis,
        "picamera": _picamera,
    }.get(kind.lower())
    if make is None:
        raise ConfigError(f"source {redacted(settings.source)!r}: expected {KINDS}")
    if not address and make not in (_pattern, _picamera):
        raise ConfigError(
            f"source {redacted(settings.source)!r} lacks its address: expected {KINDS}"
        )
    return make(settings, address)


def _latency_ms(settings: CameraSettings) -> float:
    kind = settings.source.partition(":")[0].lower()
    return settings.latency_ms if settings.latency_ms >= 0 else LATENCY_MS.get(kind, 0.0)


def _folder(settings: CameraSettings, address: str) -> Source:
    from camera.sources.folder import FolderSource  # noqa: PLC0415 - only what is asked for

    del settings
    return FolderSource(address)


def _pattern(settings: CameraSettings, address: str) -> Source:
    from camera.sources.pattern import PatternSource  # noqa: PLC0415 - only what is asked for

    del address
    return PatternSource(
        width_px=settings.width_px or 640,
        height_px=settings.height_px or 480,
        rate_hz=settings.frame_rate_hz or 25,
    )


def _v4l2(settings: CameraSettings, address: str) -> Source:
    from camera.sources.opencv import V4l2Source  # noqa: PLC0415 - only what is asked for

    if len(settings.pixel_format) not in (0, 4):
        raise ConfigError(f"pixel_format {settings.pixel_format!r}: expected four letters")
    return V4l2Source(
        address,
        width_px=settings.width_px,
        height_px=settings.height_px,
        rate_hz=settings.frame_rate_hz,
        pixel_format=settings.pixel_format,
        latency_ms=_latency_ms(settings),
    )


def _rtsp(settings: CameraSettings, address: str) -> Source:
    from camera.sources.opencv import StreamSource  # noqa: PLC0415 - only what is asked for

    del address
    return StreamSource(
        settings.source,
        options=settings.ffmpeg_options,
        read_timeout_ms=settings.read_timeout_ms,
        latency_ms=_latency_ms(settings),
    )


def _mjpeg(settings: CameraSettings, address: str) -> Source:
    from camera.sources.mjpeg import MjpegSource  # noqa: PLC0415 - only what is asked for

    del address
    return MjpegSource(
        settings.source,
        read_timeout_ms=settings.read_timeout_ms,
        latency_ms=_latency_ms(settings),
    )


def _file(settings: CameraSettings, address: str) -> Source:
    from camera.sources.opencv import FileSource  # noqa: PLC0415 - only what is asked for

    return FileSource(address, settings.frame_rate_hz)


def _aravis(settings: CameraSettings, address: str) -> Source:
    from camera.sources.aravis import AravisSource  # noqa: PLC0415 - only what is asked for

    return AravisSource(
        address,
        triggered=settings.exposure == "triggered",
        width_px=settings.width_px,
        height_px=settings.height_px,
        rate_hz=settings.frame_rate_hz,
        pixel_format=settings.pixel_format,
        latency_ms=_latency_ms(settings),
    )


def _picamera(settings: CameraSettings, address: str) -> Source:
    from camera.sources.picamera import PicameraSource  # noqa: PLC0415 - only what is asked for

    if address and not address.isdecimal():
        raise ConfigError(f"source {settings.source!r}: expected picamera:NUMBER")
    return PicameraSource(
        int(address or 0),
        width_px=settings.width_px,
        height_px=settings.height_px,
        rate_hz=settings.frame_rate_hz,
    )
