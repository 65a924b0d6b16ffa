"""An RTSP camera for the tests: H.264 of bars that say when each picture was made.

Run by Debian's own Python, which has the GStreamer binding: /usr/bin/python3 rtsp_server.py PORT.
The bars are those of `camera.sources.pattern`; the number is the monotonic clock's milliseconds.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - versions come first

WIDTH, HEIGHT, RATE = 640, 360, 25
BITS = 32
PIPELINE = (
    "( appsrc name=source is-live=true format=time do-timestamp=true "
    f"caps=video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate={RATE}/1 "
    "! videoconvert ! video/x-raw,format=I420 "
    "! x264enc tune=zerolatency speed-preset=ultrafast bitrate=2000 key-int-max=25 "
    "! rtph264pay name=pay0 pt=96 )"
)


def draw(number: int) -> bytes:
    """Grey picture whose upper eighth holds 32 bars, high bit left."""
    bars = bytearray()
    for bit in range(BITS):
        level = 255 if number >> (BITS - 1 - bit) & 1 else 0
        width = WIDTH * (bit + 1) // BITS - WIDTH * bit // BITS
        bars += bytes([level]) * width
    shade = number // 40 % 200 + 20
    return bytes(bars) * (HEIGHT // 8) + bytes([shade]) * (WIDTH * (HEIGHT - HEIGHT // 8))


class Factory(GstRtspServer.RTSPMediaFactory):
    """Makes a stream for who connects."""

    def __init__(self) -> None:
        super().__init__()
        self.set_launch(PIPELINE)
        self.set_shared(True)

    def feed(self, media: Any) -> None:
        """Feed it 25 times a second while somebody watches."""
        source = media.get_element().get_child_by_name("source")

        def push() -> bool:
            number = int(time.monotonic() * 1000) % 2**BITS
            answer = source.emit("push-buffer", Gst.Buffer.new_wrapped(draw(number)))
            return bool(answer == Gst.FlowReturn.OK)

        GLib.timeout_add(1000 // RATE, push)


def main() -> None:
    """Serve until killed."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    factory = Factory()
    factory.connect("media-configure", lambda _, media: factory.feed(media))
    server.get_mount_points().add_factory("/parts", factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
