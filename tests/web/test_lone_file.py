"""The quick way through a plain form gives what the general parser gives, or leaves it to that."""

from __future__ import annotations

import io

import pytest
from device import Device, picture
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.formparser import MultiPartParser

from edge_app.web.lone_file import lone_file

BOUNDARY = "edge"
HEAD = 'Content-Disposition: form-data; name="image"; filename="a.jpg"'


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form of such parts, each with its head."""
    body = b"".join(
        b"--edge\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts
    )
    return body + b"--edge--\r\n"


@given(st.binary(max_size=300).map(lambda b: b.replace(b"X", b"\r\n--edge").replace(b"Y", b"\r\n")))
def test_what_is_found_is_what_the_parser_finds(content: bytes) -> None:
    """Whatever stands in the file, also something like a boundary: the same bytes, or none."""
    body = form((HEAD + "\r\nContent-Type: image/jpeg", content))

    found = lone_file(body, BOUNDARY, "image")

    if found is not None:
        parser = MultiPartParser(stream_factory=lambda *_, **__: io.BytesIO())
        _, files = parser.parse(io.BytesIO(body), BOUNDARY.encode(), len(body))
        assert (found, 1) == (files["image"].read(), len(files))


@given(st.binary(max_size=300).filter(lambda content: b"--edge" not in content))
def test_a_plain_form_is_found(content: bytes) -> None:
    """With a type or without, with a last line's end or without, empty or not."""
    plain = form((HEAD, content))

    assert lone_file(plain, BOUNDARY, "image") == content
    assert lone_file(plain.removesuffix(b"\r\n"), BOUNDARY, "image") == content
    assert lone_file(form((f"{HEAD}\r\nContent-Type: a/b", content)), BOUNDARY, "image") == content


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--edge--\r\n",
        form((HEAD, b"one"), (HEAD, b"two")),
        form(('Content-Disposition: form-data; name="note"', b"words")),
        form(('Content-Disposition: form-data; name="other"; filename="a"', b"x")),
        form((f"{HEAD}\r\nContent-Transfer-Encoding: base64", b"eHg=")),
        form(('Content-Disposition: form-data; name="image"; filename="a\\"b"', b"x")),
        form((HEAD, b"x")) + b"more",
        form((HEAD, b"x")).removesuffix(b"--\r\n"),
        b"preamble\r\n" + form((HEAD, b"x")),
        form((HEAD + " " * 2000, b"x")),
    ],
)
def test_any_other_form_is_left_to_the_parser(body: bytes) -> None:
    """Several parts, another name, an encoding, quotes in quotes, something before or behind."""
    assert lone_file(body, BOUNDARY, "image") is None


@pytest.mark.parametrize("boundary", ["", "other", "é", "日"])
def test_a_boundary_that_is_not_there_finds_nothing(boundary: str) -> None:
    """Also one that could not stand in a head."""
    assert lone_file(form((HEAD, b"x")), boundary, "image") is None


def test_both_ways_are_answered_alike(device: Device) -> None:
    """A form with a word beside the picture goes the long way, to the same answer."""
    for more in ({}, {"note": "words"}):
        data = {"image": (io.BytesIO(picture("blue")), "a.png"), **more}
        answer = device.client.post("/predict", data=data)

        assert (answer.status_code, answer.get_json()["predicted_class"]) == (200, "blue")
