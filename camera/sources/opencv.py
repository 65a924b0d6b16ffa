"""USB and CSI cameras (V4L2), RTSP cameras and video files, through OpenCV."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import cv2

from camera.frame import Frame
from camera.sources import SourceLost, Tuning
from camera.sources.cadence import Cadence
from camera.sources.knock import nobody_listens
from edge_app.secret import redacted

OPEN_MS = 3000
NEARLY = 0.95
"""A read that took this share of its timeout timed out, whatever it says: FFmpeg gives an
old frame with `ok` then."""

SELECT_S = 2
"""V4L2's own timeout; without it a stalled driver blocks ten seconds."""

MAX_AGE_S = 5.0
"""A driver's time stamp that is further away than this is none."""


class StreamSource:
    """An RTSP camera: TCP only, one decoder thread, no buffering.

    Args:
        url: `rtsp://...` or `rtsps://...`.
        options: What FFmpeg is told, `key;value|key;value`; process-wide, read at opening.
        read_timeout_ms: A stream that gives nothing for so long is lost.
        latency_ms: From the exposure to the arrival of a live frame.
    """

    on_demand = False

    def __init__(
        self, url: str, *, options: str, read_timeout_ms: float, latency_ms: float
    ) -> None:
        self._url = url
        self._options = options
        self._timeout_ms = read_timeout_ms
        self._latency_s = latency_ms / 1000
        self._capture: Any = None
        self._cadence = Cadence()
        self._came_at = 0.0
        self._seq = 0

    def knock(self) -> str:
        """See whether somebody listens at the camera's port."""
        return nobody_listens(self._url)

    def open(self) -> None:
        """Connect.

        Raises:
            SourceLost: Nobody answers, or it is no video.
        """
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = self._options
        parameters = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(self._timeout_ms)),
            # More decoder threads hold back one frame each.
            *(cv2.CAP_PROP_N_THREADS, 1),
        ]
        self._capture = cv2.VideoCapture(self._url, cv2.CAP_FFMPEG, parameters)
        if not self._capture.isOpened():
            raise SourceLost(f"{redacted(self._url)} can't be opened")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._cadence = Cadence(1 / rate if 1 <= rate <= 500 else 0.0)
        self._came_at = time.monotonic()

    def read(self) -> Frame:
        """The next live frame; what waited in a buffer is passed over.

        Raises:
            SourceLost: None came in time.
        """
        until = time.monotonic() + self._timeout_ms / 1000
        while True:
            began = time.monotonic()
            ok, image = self._capture.read()
            now = time.monotonic()
            if not ok or now - began >= NEARLY * self._timeout_ms / 1000:
                raise SourceLost(f"{redacted(self._url)} gave no frame")
            apart_s, self._came_at = now - self._came_at, now
            if self._cadence.live(now - began, apart_s):
                self._seq += 1
                exposed_at = now - self._latency_s - self._cadence.behind_s
                return Frame(self._seq, exposed_at, image=image)
            if now > until:
                raise SourceLost(f"{redacted(self._url)} gives frames from a buffer only")

    def close(self) -> None:
        """Let go; by the thread that opened it alone, or the library crashes."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class FileSource:
    """A video file as a live camera: at its own rate, or the one asked for, over and over.

    Args:
        path: The file.
        rate_hz: Frames in a second; 0 for the file's own.
    """

    on_demand = False

    def __init__(self, path: str, rate_hz: float = 0.0) -> None:
        self._path = path
        self._rate_hz = rate_hz
        self._capture: Any = None
        self._due = 0.0
        self._period_s = 0.0
        self._seq = 0

    def open(self) -> None:
        """Open the file.

        Raises:
            SourceLost: It is absent or no video.
        """
        self._capture = cv2.VideoCapture(self._path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._capture.isOpened():
            raise SourceLost(f"the video {self._path} can't be opened")
        rate = self._rate_hz or self._capture.get(cv2.CAP_PROP_FPS)
        self._period_s = 1 / rate if 0.01 <= rate <= 500 else 0.04
        self._due = time.monotonic()

    def read(self) -> Frame:
        """The next frame, when its moment has come.

        Raises:
            SourceLost: The file ends at once.
        """
        self._due = max(self._due + self._period_s, time.monotonic() - self._period_s)
        time.sleep(max(0.0, self._due - time.monotonic()))
        ok, image = self._capture.read()
        if not ok:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            ok, image = self._capture.read()
        if not ok:
            raise SourceLost(f"the video {self._path} can't be read")
        self._seq += 1
        return Frame(self._seq, time.monotonic(), image=image)

    def close(self) -> None:
        """Let go of the file."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class V4l2Source:
    """A USB or CSI camera under Linux.

    Args:
        device: A path, best below `/dev/v4l/by-id` or `by-path`: numbers change.
        width_px: Width asked for; 0 for the camera's own.
        height_px: Height asked for; 0 for the camera's own.
        rate_hz: Rate asked for; 0 for the camera's own.
        pixel_format: FourCC asked for, e.g. `MJPG`; empty for the camera's own.
        latency_ms: From the exposure to the arrival, where the driver does not tell the time.
    """

    on_demand = False

    def __init__(
        self,
        device: str,
        *,
        width_px: int = 0,
        height_px: int = 0,
        rate_hz: float = 0.0,
        pixel_format: str = "",
        latency_ms: float = 0.0,
    ) -> None:
        self._device = device
        self._size = width_px, height_px
        self._rate_hz = rate_hz
        self._pixel_format = pixel_format
        self._latency_s = latency_ms / 1000
        self._capture: Any = None
        self._seq = 0

    def knock(self) -> str:
        """See whether the device's file is there."""
        return "" if Path(self._device).exists() else f"{self._device} is absent"

    def open(self) -> None:
        """Open the device and ask for what is wanted; what it gives instead is a loss.

        Raises:
            SourceLost: It is absent, busy, or can't give the resolution.
        """
        os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = str(SELECT_S)
        self._capture = cv2.VideoCapture(self._device, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise SourceLost(f"{self._device} can't be opened: absent, or in use elsewhere")
        wishes: list[tuple[int, float]] = [(cv2.CAP_PROP_BUFFERSIZE, 2)]
        if self._pixel_format:
            code = cv2.VideoWriter_fourcc(*self._pixel_format)  # type: ignore[attr-defined]  # missing in the stubs
            wishes.insert(0, (cv2.CAP_PROP_FOURCC, code))
        wishes += [
            (name, value)
            for name, value in (
                (cv2.CAP_PROP_FRAME_WIDTH, self._size[0]),
                (cv2.CAP_PROP_FRAME_HEIGHT, self._size[1]),
                (cv2.CAP_PROP_FPS, self._rate_hz),
            )
            if value
        ]
        for name, value in wishes:
            self._capture.set(name, value)

    def tune(self, tuning: Tuning) -> None:
        """Exposure in the driver's steps of 100 us, gain in its own unit."""
        if tuning.exposure_us:
            self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, 1)
            self._capture.set(cv2.CAP_PROP_EXPOSURE, tuning.exposure_us / 100)
        if tuning.gain >= 0:
            self._capture.set(cv2.CAP_PROP_GAIN, tuning.gain)

    def read(self) -> Frame:
        """The next frame.

        Raises:
            SourceLost: None came, or not in the resolution that was asked for.
        """
        began = time.monotonic()
        ok, image = self._capture.read()
        now = time.monotonic()
        if not ok or now - began >= NEARLY * SELECT_S:
            raise SourceLost(f"{self._device} gave no frame")
        height, width = image.shape[:2]
        if (self._size[0] or width, self._size[1] or height) != (width, height):
            # The driver says yes to every size and gives its own.
            raise SourceLost(
                f"{self._device} gives {width}x{height}, not the "
                f"{self._size[0]}x{self._size[1]} that the settings ask for"
            )
        self._seq += 1
        return Frame(self._seq, self._exposed_at(now), image=image)

    def _exposed_at(self, now: float) -> float:
        """The driver's own monotonic time where it makes sense."""
        stamp = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        return stamp if 0 <= now - stamp < MAX_AGE_S else now - self._latency_s

    def close(self) -> None:
        """Let go; by the thread that opened it alone."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
