"""Network cameras that send JPEG after JPEG over HTTP; decoded only when a frame is used."""

from __future__ import annotations

import base64
import http.client
import time
import urllib.parse

from camera.frame import Frame
from camera.sources import SourceLost
from camera.sources.cadence import Cadence
from camera.sources.knock import nobody_listens
from edge_app.secret import redacted, split_credentials

MAX_JPEG_BYTES = 32 * 1024 * 1024
MAX_HEADER_LINES = 40
MAX_LINE_BYTES = 4096
CHUNK_BYTES = 65_536


class MjpegSource:
    """A `multipart/x-mixed-replace` stream of JPEG pictures.

    Args:
        url: `http://...` or `https://...`, with `user:password@` for Basic authentication.
        read_timeout_ms: A stream that gives no whole picture for so long is lost.
        latency_ms: From the exposure to the arrival.
    """

    on_demand = False

    def __init__(self, url: str, *, read_timeout_ms: float, latency_ms: float) -> None:
        self._url = url
        self._timeout_s = read_timeout_ms / 1000
        self._latency_s = latency_ms / 1000
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._boundary = b""
        self._cadence = Cadence()
        self._came_at = 0.0
        self._seq = 0
        self._until = 0.0

    def knock(self) -> str:
        """See whether somebody listens at the camera's port."""
        return nobody_listens(self._url)

    def open(self) -> None:
        """Ask for the stream.

        Raises:
            SourceLost: Nobody answers, or what comes is no such stream.
        """
        plain, user, password = split_credentials(self._url)
        parts = urllib.parse.urlsplit(plain)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        headers = {}
        if user:
            secret = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
            headers["Authorization"] = f"Basic {secret}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            self._connection = kind(parts.netloc, timeout=self._timeout_s)
            self._connection.request("GET", target, headers=headers)
            self._response = self._connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._lost(f"can't be reached: {error}") from error
        if self._response.status != 200:
            raise self._lost(f"answers {self._response.status} {self._response.reason}")
        self._boundary = self._find_boundary(self._response.headers.get("Content-Type", ""))
        self._cadence = Cadence()
        self._came_at = time.monotonic()

    def read(self) -> Frame:
        """The next live picture, not decoded; what waited in a buffer is passed over.

        Raises:
            SourceLost: None came in time, or the stream is broken.
        """
        self._until = time.monotonic() + self._timeout_s
        while True:
            began = time.monotonic()
            try:
                picture = self._next_part()
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._lost(str(error) or type(error).__name__) from error
            now = time.monotonic()
            apart_s, self._came_at = now - self._came_at, now
            if self._cadence.live(now - began, apart_s):
                self._seq += 1
                exposed_at = now - self._latency_s - self._cadence.behind_s
                return Frame(self._seq, exposed_at, jpeg=picture)

    def close(self) -> None:
        """Hang up."""
        if self._response is not None:
            self._response.close()
        if self._connection is not None:
            self._connection.close()
        self._response = self._connection = None

    def _lost(self, reason: str) -> SourceLost:
        return SourceLost(f"{redacted(self._url)} {redacted(reason)}")

    def _find_boundary(self, kind: str) -> bytes:
        if not kind.lower().startswith("multipart/"):
            raise self._lost(f"sends {kind or 'something'}, not an MJPEG stream")
        _, _, boundary = kind.partition("boundary=")
        # Some cameras put the two dashes of the delimiter into the name.
        name = boundary.partition(";")[0].strip().strip('"').removeprefix("--")
        return b"--" + name.encode("latin-1")

    def _next_part(self) -> bytes:
        length = 0
        while not self._line().startswith(self._boundary):
            self._in_time()
        for _ in range(MAX_HEADER_LINES):
            line = self._line().strip().lower()
            if not line:
                return self._exactly(length) if length else self._up_to_boundary()
            name, _, value = line.partition(b":")
            if name == b"content-length":
                length = int(value)
        raise ValueError(f"a part has more than {MAX_HEADER_LINES} header lines")

    def _line(self) -> bytes:
        assert self._response is not None, "open comes first"  # noqa: S101 - says it to mypy
        line = self._response.readline(MAX_LINE_BYTES)
        if not line:
            raise ValueError("the stream has ended")
        return line

    def _exactly(self, length: int) -> bytes:
        if not 0 < length <= MAX_JPEG_BYTES:
            raise ValueError(f"a picture of {length} bytes")
        assert self._response is not None, "open comes first"  # noqa: S101 - says it to mypy
        picture = bytearray()
        while len(picture) < length:
            self._in_time()
            piece = self._response.read(min(CHUNK_BYTES, length - len(picture)))
            if not piece:
                raise ValueError("the stream has ended")
            picture += piece
        return bytes(picture)

    def _up_to_boundary(self) -> bytes:
        """A part without a length ends at JPEG's own end mark, found line by line."""
        picture = bytearray()
        while not (picture.endswith((b"\xff\xd9\r\n", b"\xff\xd9\n", b"\xff\xd9"))):
            self._in_time()
            picture += self._line()
            if len(picture) > MAX_JPEG_BYTES:
                raise ValueError("a picture without an end")
        return bytes(picture).rstrip(b"\r\n")

    def _in_time(self) -> None:
        """Each receive has its timeout; a camera that trickles needs one for the whole."""
        if time.monotonic() > self._until:
            raise TimeoutError("no whole picture in time")
