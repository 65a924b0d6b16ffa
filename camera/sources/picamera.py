"""The Raspberry Pi's own camera, through Picamera2."""

from __future__ import annotations

import time
from typing import Any

from camera.frame import Frame
from camera.sources import SourceLost, Tuning

INSTALL = (
    "picamera2 is not installed here. It comes with Raspberry Pi OS only: "
    "`sudo apt install python3-picamera2`, and make the venv with --system-site-packages"
)


class PicameraSource:
    """A CSI camera under libcamera, free-running, with the sensor's own time stamps.

    Args:
        index: Which camera, 0 for the first.
        width_px: Width asked for; 0 for 1280.
        height_px: Height asked for; 0 for 720.
        rate_hz: Rate asked for; 0 for the sensor's own.
    """

    on_demand = False

    def __init__(
        self, index: int = 0, *, width_px: int = 0, height_px: int = 0, rate_hz: float = 0.0
    ) -> None:
        self._index = index
        self._size = width_px or 1280, height_px or 720
        self._rate_hz = rate_hz
        self._camera: Any = None
        self._seq = 0

    def open(self) -> None:
        """Start the camera.

        Raises:
            SourceLost: The library or the camera is absent.
        """
        try:
            from picamera2 import Picamera2  # noqa: PLC0415 - only Raspberry Pi OS has it
        except ImportError as error:
            raise SourceLost(INSTALL) from error
        try:
            self._camera = Picamera2(self._index)
            # libcamera's RGB888 lies in memory as blue, green, red.
            main = {"format": "RGB888", "size": self._size}
            controls = {"FrameRate": self._rate_hz} if self._rate_hz else {}
            self._camera.configure(
                self._camera.create_video_configuration(main=main, controls=controls)
            )
            self._camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            raise SourceLost(f"Pi camera {self._index} can't be opened: {error}") from error

    def tune(self, tuning: Tuning) -> None:
        """Exposure time and analogue gain."""
        controls: dict[str, float] = {}
        if tuning.exposure_us:
            controls |= {"AeEnable": False, "ExposureTime": int(tuning.exposure_us)}
        if tuning.gain >= 0:
            controls["AnalogueGain"] = tuning.gain
        if controls:
            self._camera.set_controls(controls)

    def read(self) -> Frame:
        """The next frame, stamped with the moment of its exposure.

        Raises:
            SourceLost: The camera gave none.
        """
        try:
            request = self._camera.capture_request()
        except (RuntimeError, OSError) as error:
            raise SourceLost(f"Pi camera {self._index} gave no frame: {error}") from error
        try:
            # A copy: the buffer goes back to the camera.
            image = request.make_array("main").copy()
            stamp_ns = request.get_metadata().get("SensorTimestamp", 0)
        finally:
            request.release()
        self._seq += 1
        return Frame(self._seq, _monotonic(stamp_ns), image=image)

    def close(self) -> None:
        """Stop the camera."""
        if self._camera is not None:
            self._camera.stop()
            self._camera.close()
            self._camera = None


def _monotonic(boot_ns: int) -> float:
    """The sensor's clock counts from boot and goes on in standby; ours does not."""
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - boot_ns / 1e9
    return time.monotonic() - min(max(0.0, age_s), 3600.0)
