"""An MJPEG camera for the tests: python mjpeg_server.py PORT. Bars tell each picture's moment."""

from __future__ import annotations

import http.server
import sys
import time
from typing import Any

from camera.sources.pattern import draw_number
from edge_app.records.archive import encode_jpeg

RATE = 25


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends pictures until the client goes."""

    def do_GET(self) -> None:
        """The stream."""
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=cut")
        self.end_headers()
        while True:
            number = int(time.monotonic() * 1000) % 2**32
            picture = encode_jpeg(draw_number(number, 640, 360), 80)
            head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + picture + b"\r\n")
            except OSError:
                return
            time.sleep(1 / RATE)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
