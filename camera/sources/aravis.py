"""GigE Vision and USB3 Vision cameras, through the Aravis library by ctypes.

Debian's libaravis-0.8-0 is all it needs: no Python binding, no compiler.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import time
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any

import cv2
import numpy as np

from camera.frame import Frame
from camera.sources import SourceLost, Tuning
from camera.sources.knock import no_industrial_camera
from edge_app.inference.preprocess import Image

LIBRARY = "libaravis-0.8.so.0"
INSTALL = f"{LIBRARY} is not installed here; on Debian: `sudo apt install libaravis-0.8-0`"

BUFFERS = 4
READ_S = 2.0
SUCCESS = 0
FAKE = "Fake"
"""The simulated camera inside the library: `aravis:Fake_1`, no network, no device."""

CONVERSIONS: dict[int, tuple[int, int | None]] = {
    0x01080001: (1, cv2.COLOR_GRAY2BGR),
    # GenICam names a Bayer pattern by its first row, OpenCV by its second.
    0x01080008: (1, cv2.COLOR_BayerGB2BGR),
    0x01080009: (1, cv2.COLOR_BayerBG2BGR),
    0x0108000A: (1, cv2.COLOR_BayerGR2BGR),
    0x0108000B: (1, cv2.COLOR_BayerRG2BGR),
    0x02180014: (3, cv2.COLOR_RGB2BGR),
    0x02180015: (3, None),
}
"""GenICam pixel format: bytes of a pixel, and what makes blue-green-red of it."""

ERROR = POINTER(c_void_p)

FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "arv_camera_new": (c_void_p, [c_char_p, ERROR]),
    "arv_camera_get_device": (c_void_p, [c_void_p]),
    "arv_camera_is_gv_device": (c_int, [c_void_p]),
    "arv_gv_device_is_controller": (c_int, [c_void_p]),
    "arv_camera_create_stream": (c_void_p, [c_void_p, c_void_p, c_void_p, ERROR]),
    "arv_camera_get_payload": (c_uint, [c_void_p, ERROR]),
    "arv_camera_start_acquisition": (None, [c_void_p, ERROR]),
    "arv_camera_stop_acquisition": (None, [c_void_p, ERROR]),
    "arv_camera_software_trigger": (None, [c_void_p, ERROR]),
    "arv_camera_set_trigger": (None, [c_void_p, c_char_p, ERROR]),
    "arv_camera_set_region": (None, [c_void_p, c_int, c_int, c_int, c_int, ERROR]),
    "arv_camera_set_pixel_format_from_string": (None, [c_void_p, c_char_p, ERROR]),
    "arv_camera_set_frame_rate": (None, [c_void_p, c_double, ERROR]),
    "arv_camera_set_exposure_time": (None, [c_void_p, c_double, ERROR]),
    "arv_camera_set_gain": (None, [c_void_p, c_double, ERROR]),
    "arv_buffer_new_allocate": (c_void_p, [c_size_t]),
    "arv_stream_push_buffer": (None, [c_void_p, c_void_p]),
    "arv_stream_try_pop_buffer": (c_void_p, [c_void_p]),
    "arv_stream_timeout_pop_buffer": (c_void_p, [c_void_p, c_uint64]),
    "arv_buffer_get_status": (c_int, [c_void_p]),
    "arv_buffer_get_data": (c_void_p, [c_void_p, POINTER(c_size_t)]),
    "arv_buffer_get_image_width": (c_int, [c_void_p]),
    "arv_buffer_get_image_height": (c_int, [c_void_p]),
    "arv_buffer_get_image_pixel_format": (c_uint, [c_void_p]),
    "arv_enable_interface": (None, [c_char_p]),
}


@functools.cache
def _library() -> tuple[Any, Any]:
    """Aravis and GObject, their functions declared.

    Raises:
        SourceLost: Not installed.
    """
    try:
        aravis, gobject = ctypes.CDLL(LIBRARY), ctypes.CDLL("libgobject-2.0.so.0")
    except OSError as error:
        raise SourceLost(INSTALL) from error
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(aravis, name)
        function.restype, function.argtypes = result, arguments
    gobject.g_object_unref.argtypes = [c_void_p]
    gobject.g_object_unref.restype = None
    return aravis, gobject


class _GError(ctypes.Structure):
    _fields_ = (("domain", ctypes.c_uint32), ("code", c_int), ("message", c_char_p))


class AravisSource:
    """An industrial camera, free-running or exposed by software trigger.

    Args:
        address: The camera's IP address, or its name as `arv-tool-0.8` lists it.
        triggered: Expose when a frame is asked for; else the camera runs freely.
        width_px: Width asked for; 0 for the camera's own. Height likewise.
        height_px: See above.
        rate_hz: Rate asked for; 0 for the camera's own.
        pixel_format: GenICam's name, e.g. `Mono8`; empty for the camera's own.
        latency_ms: From the exposure to the arrival of a free-running frame.
    """

    def __init__(
        self,
        address: str,
        *,
        triggered: bool = False,
        width_px: int = 0,
        height_px: int = 0,
        rate_hz: float = 0.0,
        pixel_format: str = "",
        latency_ms: float = 0.0,
    ) -> None:
        self.on_demand = triggered
        self._address = address
        self._size = width_px, height_px
        self._rate_hz = rate_hz
        self._pixel_format = pixel_format
        self._latency_s = latency_ms / 1000
        self._camera: int | None = None
        self._stream: int | None = None
        self._lost = False
        self._seq = 0

    def knock(self) -> str:
        """See whether the camera answers at its IP address."""
        return no_industrial_camera(self._address)

    def open(self) -> None:
        """Take control of the camera and start it.

        Raises:
            SourceLost: Absent, controlled by somebody else, or it refuses a setting.
        """
        aravis, _ = _library()
        self._lost = False
        if self._address.startswith(FAKE):
            aravis.arv_enable_interface(FAKE.encode())
        # By address, always: discovery would broadcast on every interface.
        self._camera = self._call("arv_camera_new", self._address.encode())
        device = aravis.arv_camera_get_device(self._camera)
        if aravis.arv_camera_is_gv_device(self._camera) and not aravis.arv_gv_device_is_controller(
            device
        ):
            raise SourceLost(f"camera {self._address} is controlled by another program")
        self._configure()
        payload = self._call("arv_camera_get_payload", self._camera)
        self._stream = self._call("arv_camera_create_stream", self._camera, None, None)
        for _ in range(BUFFERS):
            aravis.arv_stream_push_buffer(self._stream, aravis.arv_buffer_new_allocate(payload))
        self._call("arv_camera_start_acquisition", self._camera)

    def tune(self, tuning: Tuning) -> None:
        """Exposure time in microseconds, gain in the camera's unit (mostly dB).

        Raises:
            SourceLost: The camera refuses.
        """
        if tuning.exposure_us:
            self._call("arv_camera_set_exposure_time", self._camera, tuning.exposure_us)
        if tuning.gain >= 0:
            self._call("arv_camera_set_gain", self._camera, tuning.gain)

    def read(self) -> Frame:
        """The next whole frame; damaged ones are passed over.

        Raises:
            SourceLost: None came in time.
        """
        aravis, _ = _library()
        captured_at = 0.0
        if self.on_demand:
            self._flush()
            captured_at = time.monotonic()
            self._call("arv_camera_software_trigger", self._camera)
        until = time.monotonic() + READ_S
        while (left_s := until - time.monotonic()) > 0:
            buffer = aravis.arv_stream_timeout_pop_buffer(self._stream, int(left_s * 1e6))
            if not buffer:
                break
            try:
                if aravis.arv_buffer_get_status(buffer) == SUCCESS:
                    now = time.monotonic()
                    self._seq += 1
                    return Frame(
                        self._seq, captured_at or now - self._latency_s, image=_image(buffer)
                    )
            finally:
                aravis.arv_stream_push_buffer(self._stream, buffer)
        self._lost = True
        raise SourceLost(f"camera {self._address} gave no whole frame in {READ_S:.0f} s")

    def close(self) -> None:
        """Stop and drop everything; after a loss without a call, for each blocks for seconds."""
        if self._stream and not self._lost:
            with contextlib.suppress(SourceLost):
                self._call("arv_camera_stop_acquisition", self._camera)
        for held in (self._stream, self._camera):
            if held:
                _library()[1].g_object_unref(held)
        self._stream = self._camera = None

    def _configure(self) -> None:
        if all(self._size):
            self._call("arv_camera_set_region", self._camera, -1, -1, *self._size)
        if self._pixel_format:
            name = self._pixel_format.encode()
            self._call("arv_camera_set_pixel_format_from_string", self._camera, name)
        if self._rate_hz:
            self._call("arv_camera_set_frame_rate", self._camera, self._rate_hz)
        if self.on_demand:
            self._call("arv_camera_set_trigger", self._camera, b"Software")

    def _flush(self) -> None:
        """A frame that came late for the last trigger must not be taken for this one's."""
        aravis, _ = _library()
        while buffer := aravis.arv_stream_try_pop_buffer(self._stream):
            aravis.arv_stream_push_buffer(self._stream, buffer)

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call Aravis; its error becomes ours."""
        aravis, _ = _library()
        error = c_void_p()
        result = getattr(aravis, name)(*arguments, byref(error))
        if error.value:
            said = ctypes.cast(error, POINTER(_GError)).contents.message or b"unknown error"
            raise SourceLost(f"camera {self._address}: {said.decode('utf-8', 'replace')}")
        if FUNCTIONS[name][0] is c_void_p and not result:
            raise SourceLost(f"camera {self._address} does not answer")
        return result


def _image(buffer: int) -> Image:
    """A copy of the buffer's picture in blue-green-red."""
    aravis, _ = _library()
    width = aravis.arv_buffer_get_image_width(buffer)
    height = aravis.arv_buffer_get_image_height(buffer)
    code = aravis.arv_buffer_get_image_pixel_format(buffer)
    if code not in CONVERSIONS:
        known = "Mono8, BayerRG8 and its kin, RGB8, BGR8"
        raise SourceLost(f"pixel format 0x{code:08X} is not known; set pixel_format to {known}")
    depth, conversion = CONVERSIONS[code]
    size = c_size_t()
    data = aravis.arv_buffer_get_data(buffer, byref(size))
    if size.value < width * height * depth:
        raise SourceLost(f"a frame of {width}x{height} has only {size.value} bytes")
    raw = np.ctypeslib.as_array((ctypes.c_uint8 * (width * height * depth)).from_address(data))
    pixels = raw.reshape((height, width) if depth == 1 else (height, width, depth))
    if conversion is None:
        return pixels.copy()
    converted: Image = cv2.cvtColor(pixels, conversion).astype(np.uint8, copy=False)
    return converted
