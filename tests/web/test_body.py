"""A request's body on its way to who reads it."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from flask import Flask, request
from werkzeug.exceptions import RequestEntityTooLarge

from edge_app.web.request import InMemoryRequest

LARGE = 8_000_000


@pytest.fixture
def app() -> Flask:
    """An app with our requests, that takes 10 MB."""
    made = Flask("test")
    made.request_class = InMemoryRequest
    made.config["MAX_CONTENT_LENGTH"] = 10_000_000
    return made


def test_a_body_that_the_server_holds_is_not_copied(app: Flask) -> None:
    """Reading all of 8 MB takes no memory to speak of, also the second time."""
    held = io.BytesIO(bytes(LARGE))
    with app.test_request_context("/", method="POST", input_stream=held, content_length=LARGE):
        tracemalloc.start()
        first, again = request.get_data(), request.get_data()
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(first) == LARGE
    assert again is first
    assert peak_bytes < LARGE / 8


def test_a_body_longer_than_was_said_ends_where_it_was_said(app: Flask) -> None:
    """What follows the announced length is nobody's."""
    held = io.BytesIO(b"pictureGET /")
    said = {"CONTENT_LENGTH": "7"}
    with app.test_request_context("/", method="POST", input_stream=held, environ_overrides=said):
        assert request.get_data() == b"picture"


def test_a_body_that_is_too_large_is_refused(app: Flask) -> None:
    """The app's own bound holds for what is in memory, too."""
    held = io.BytesIO(bytes(10_000_001))
    with (
        app.test_request_context("/", method="POST", input_stream=held, content_length=10_000_001),
        pytest.raises(RequestEntityTooLarge),
    ):
        request.get_data()


def test_a_form_can_be_read_behind_its_body(app: Flask) -> None:
    """The parser finds the form although its bytes were taken before."""
    with app.test_request_context("/", method="POST", data={"image": (io.BytesIO(b"x"), "a.jpg")}):
        assert b"a.jpg" in request.get_data()
        assert request.files["image"].read() == b"x"
