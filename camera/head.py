"""The head of a request: its first line and its headers, as machines send them.

The standard library reads headers as if they were mail, which is right for more than comes here
and takes a quarter of a millisecond of each part's time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

MAX_FIRST_LINE_BYTES = 2000
MAX_LINE_BYTES = 8192
MAX_HEADERS = 40

_EXPECTED = "expected a method, an address and HTTP/1.0 or HTTP/1.1"
_VERSIONS = {"HTTP/1.0": (1, 0), "HTTP/1.1": (1, 1)}

_VERSION = re.compile(r"HTTP/(\d{1,10})\.(\d{1,10})", re.ASCII)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2."""


class Lines(Protocol):
    """Where a request comes from."""

    def readline(self, size: int, /) -> bytes: ...  # noqa: D102 - as of every file


class BadRequest(Exception):  # noqa: N818 - HTTP's name for it
    """The request can't be read; the message says what was expected.

    Args:
        message: In words.
        status: HTTP's number for it.
    """

    def __init__(self, message: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a request's body.

    Args:
        method: `GET` or another word.
        target: Path and query.
        headers: By lower-case name; what came several times is joined by commas.
        keeps: Whether the client wants to keep the connection.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    keeps: bool


def read_head(lines: Lines) -> Head | None:
    """The next request's head; None when no more comes.

    Raises:
        BadRequest: It can't be read, or could be read in two ways.
        OSError: The connection broke or took too long.
    """
    first = _first_line(lines)
    if not first:
        return None
    method, target, version = _taken_apart(first)
    headers = _headers(lines)
    wishes = headers.get("connection", "").lower().replace(",", " ").split()
    keeps = "close" not in wishes and (version >= (1, 1) or "keep-alive" in wishes)
    # A path that begins with two slashes could be read as a host's name.
    target = "/" + target.lstrip("/") if target.startswith("//") else target
    return Head(method, target, headers, keeps)


def _first_line(lines: Lines) -> str:
    """The request line; NULs and blank lines that a client left behind are passed over."""
    for _ in range(8):
        line = lines.readline(MAX_FIRST_LINE_BYTES + 1)
        if len(line) > MAX_FIRST_LINE_BYTES:
            raise BadRequest(
                f"expected an address of at most {MAX_FIRST_LINE_BYTES} bytes",
                HTTPStatus.REQUEST_URI_TOO_LONG,
            )
        stripped = line.lstrip(b"\0")
        if not line or stripped.strip():
            return stripped.decode("latin-1")
    return ""


def _taken_apart(line: str) -> tuple[str, str, tuple[int, int]]:
    words = line.split()
    if len(words) == 2 and words[0] == "GET":
        return words[0], words[1], (0, 9)
    if len(words) != 3:
        raise BadRequest(_EXPECTED)
    return words[0], words[1], _VERSIONS.get(words[2]) or _version(words[2])


def _version(word: str) -> tuple[int, int]:
    found = _VERSION.fullmatch(word)
    if found is None:
        raise BadRequest(_EXPECTED)
    version = int(found[1]), int(found[2])
    if version >= (2, 0):
        raise BadRequest("expected HTTP/1.0 or HTTP/1.1", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    return version


def _headers(lines: Lines) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(MAX_HEADERS + 1):
        line = lines.readline(MAX_LINE_BYTES + 1)
        if line in (b"\r\n", b"\n", b""):
            return headers
        if len(line) > MAX_LINE_BYTES:
            raise BadRequest(
                f"expected header lines of at most {MAX_LINE_BYTES} bytes",
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            )
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or _NAME.fullmatch(name) is None:
            raise BadRequest("expected header lines of a name, a colon and a value")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    raise BadRequest(f"expected at most {MAX_HEADERS} headers")
