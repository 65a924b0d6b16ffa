"""The head of a request: read in one way only, or refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera.head import BadRequest, read_head


def head_of(raw: bytes) -> tuple[str, str, dict[str, str], bool] | None:
    """Method, address, headers, and whether the connection is kept."""
    head = read_head(io.BytesIO(raw))
    return None if head is None else (head.method, head.target, dict(head.headers), head.keeps)


@pytest.mark.parametrize(
    ("raw", "keeps"),
    [
        (b"GET /a HTTP/1.1\r\n\r\n", True),
        (b"GET /a HTTP/1.0\r\n\r\n", False),
        (b"GET /a HTTP/1.0\nConnection: Keep-Alive\n\n", True),
        (b"GET /a HTTP/1.1\r\nconnection: x, close\r\n\r\n", False),
        (b"GET /a\r\n\r\n", False),
        (b"\0\r\n\0GET //a HTTP/1.1\r\n\r\n", True),
        (b"GET /a HTTP/1.1\r\n", True),
    ],
)
def test_what_the_client_wants(raw: bytes, *, keeps: bool) -> None:
    """Versions, line ends, NULs, and what is said of the connection."""
    found = head_of(raw)

    assert found is not None
    assert (found[0], found[1], found[3]) == ("GET", "/a", keeps)


def test_headers_that_come_twice_are_joined() -> None:
    """Whoever looks for one value sees that there are two."""
    found = head_of(b"GET / HTTP/1.1\r\nContent-Length: 3\r\nX:\r\ncontent-length:5 \r\n\r\n")

    assert found is not None
    assert found[2] == {"content-length": "3, 5", "x": ""}


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: a\r\n Content-Length: 5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: 5\r\n\r\n", 400),
        (b"GET / HTTP/1.x\r\n\r\n", 400),
        (b"POST /\r\n\r\n", 400),
        (b"GET / now HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET /" + 2000 * b"a" + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + 9000 * b"a" + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + 41 * b"X: a\r\n" + b"\r\n", 400),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes, status: int) -> None:
    """Folded lines, blanks before the colon, lines without one, other versions, too much."""
    with pytest.raises(BadRequest) as refusal:
        head_of(raw)

    assert refusal.value.status == status


def test_nothing_more_comes() -> None:
    """An end between two requests is no error."""
    assert head_of(b"") is None
    assert head_of(b"\0\0\r\n") is None


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Nothing else comes of them."""
    try:
        found = head_of(b"GET / HTTP/1.1\r\n" + raw)
    except BadRequest:
        return
    assert found is not None
    assert all(name == name.strip().lower() for name in found[2])
