"""What a request asks for: its deadline, its picture, its numbers."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import time
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from flask import Request, current_app
from werkzeug.datastructures import ImmutableMultiDict

from edge_app.inference.budget import Deadline
from edge_app.inference.tensor import Array
from edge_app.web.errors import ApiError
from edge_app.web.lone_file import lone_file

ARRIVED_AT = "lineside.arrived_at"
"""Where the server leaves the monotonic moment of a request's last byte in the environment."""

IMAGE_FIELD = "image"

WHITE = b" \t\r\n\v\f"

MAX_PART_CHARS = 32
MAX_NUMBERS = 600_000
"""Numbers in one JSON body: reading more holds up everybody for longer than a tenth of a second.
Binary tensors have no such bound."""

MAX_LISTS = 600_000
"""Lists and objects in one JSON body: three bytes of it make one of a hundred."""

MAX_INPUTS = 32
"""Of one request; each takes memory of its own."""

MAX_FORM_BYTES = 65_536
"""An URL-encoded form takes eighty times its size. A larger one is none: curl calls any body so."""

LARGE_BYTES = 1_000_000
"""A JSON body of more is worked on alone: as text, with one rare character in it, it takes four
times its size, and a text in it as much again."""

LARGE_JSON = "large_json"
"""Where the app's extensions have what holds up a large JSON body until it is its turn."""


class InMemoryRequest(Request):
    """A request whose files stay in memory: a card must not be worn out by uploads.

    The body's bound is theirs, too. Of a body that the server holds in memory already no copy is
    made: two of 15 MB held up everybody for a few tens of milliseconds.
    """

    def get_data(
        self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
    ) -> Any:
        """The body; the server's own where it has all of it."""
        held = self.environ.get("wsgi.input")
        fresh = "_cached_data" not in self.__dict__ and "form" not in self.__dict__
        if cache and fresh and isinstance(held, io.BytesIO) and held.tell() == 0:
            self.stream  # noqa: B018 - refuses a body that is too large
            content = held.getvalue()
            if len(content) == self.content_length:
                self._cached_data = content
        return super().get_data(cache, as_text, parse_form_data)  # type: ignore[call-overload]  # passed on

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        del total_content_length, content_type, filename, content_length
        return io.BytesIO()

    def _load_form_data(self) -> None:
        encoded = self.mimetype == "application/x-www-form-urlencoded"
        if "form" not in self.__dict__ and encoded and len(self.get_data()) > MAX_FORM_BYTES:
            self.__dict__["form"] = self.__dict__["files"] = ImmutableMultiDict()
        super()._load_form_data()


def part_of(request: Request) -> str:
    """The part's id, from `?part=`.

    Raises:
        ApiError: Too long, or not made of printable characters.
    """
    part = request.args.get("part", "")
    if len(part) > MAX_PART_CHARS or not part.isprintable():
        raise ApiError(
            400, "bad_part", f"part: expected at most {MAX_PART_CHARS} printable characters"
        )
    return part


def deadline_in(environ: Mapping[str, Any], default_ms: float, max_ms: float) -> Deadline:
    """The deadline of the request with this environment, from the arrival of its last byte.

    `X-Deadline-Ms` may shorten it, or lengthen it up to `max_ms`.

    Raises:
        ApiError: The header is no number of milliseconds.
    """
    arrived_at = environ.get(ARRIVED_AT, time.monotonic())
    text = environ.get("HTTP_X_DEADLINE_MS")
    if text is None:
        return Deadline(arrived_at, default_ms)
    try:
        budget_ms = float(text)
    except ValueError:
        budget_ms = math.nan
    if not 1 <= budget_ms <= max_ms:
        raise ApiError(
            400, "bad_deadline", f"X-Deadline-Ms: expected 1 to {max_ms:g}, got {text[:40]!r}"
        )
    return Deadline(arrived_at, budget_ms)


def read_json(request: Request) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        ApiError: It is none.
    """
    return parse_json(request.get_data(cache=True))


def parse_json(body: bytes) -> dict[str, Any]:
    """Bytes as a JSON object.

    Raises:
        ApiError: They are none.
        TooLate: They are many, and others' were worked on until the deadline.
    """
    if body.count(b",") > MAX_NUMBERS:
        raise ApiError(
            413, "too_many_numbers", f"at most {MAX_NUMBERS} numbers are taken in one JSON body"
        )
    if body.count(b"[") + body.count(b"{") > MAX_LISTS:
        raise ApiError(
            413,
            "too_many_lists",
            f"at most {MAX_LISTS} lists and objects are taken in one JSON body",
        )
    current_app.extensions[LARGE_JSON](len(body))
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "bad_json", f"the body is no valid JSON: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise ApiError(400, "bad_json", f"expected a JSON object, got {type(document).__name__}")
    return document


def is_json(request: Request) -> bool:
    """Whether the body is meant as JSON: by its type, or by its first byte without one."""
    if request.mimetype in ("application/json", "text/json"):
        return True
    if request.mimetype in ("", "application/x-www-form-urlencoded", "text/plain"):
        return request.get_data(cache=True)[:64].lstrip()[:1] == b"{"
    return False


def decode_base64(text: Any, name: str = IMAGE_FIELD) -> bytes:
    """Bytes of a base64 text; a `data:` URL is taken too, any other URL is not fetched.

    Raises:
        ApiError: It is no base64.
    """
    if not isinstance(text, str):
        raise ApiError(400, "bad_base64", f"{name}: expected base64 text, got {_kind(text)}")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text.encode("ascii").translate(None, WHITE), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(400, "bad_base64", f"{name} is no base64: {error}") from error


def any_image(request: Request) -> bytes:
    """The picture in a request of any form: multipart, raw, or base64 in JSON.

    Raises:
        ApiError: There is none.
    """
    if is_json(request):
        return decode_base64(read_json(request).get(IMAGE_FIELD))
    return image_bytes(request)


def image_bytes(request: Request) -> bytes:
    """The picture in a request that is not JSON: a multipart field `image`, or the raw body.

    Raises:
        ApiError: There is none.
    """
    if request.mimetype == "multipart/form-data":
        body = request.get_data(cache=True)
        if content := lone_file(body, request.mimetype_params.get("boundary", ""), IMAGE_FIELD):
            return content
        upload = request.files.get(IMAGE_FIELD)
        if upload is None:
            got = ", ".join([*request.files, *request.form]) or "nothing"
            raise ApiError(400, "no_image", f"expected a file in the field 'image', got: {got}")
        return bytes(upload.read())
    content = request.get_data(cache=True)
    if not content:
        raise ApiError(
            400,
            "no_image",
            "expected a picture: multipart field 'image', a raw body, "
            'JSON {"image": "<base64>"} or JSON {"input": [...]}',
        )
    return content


def tensors_of(value: Any, names: list[str]) -> dict[str, Array]:
    """Numbers of a JSON value: an array for a model's only input, or an object by name.

    Raises:
        ApiError: It holds something else than arrays of numbers.
    """
    by_name = value if isinstance(value, dict) else {names[0] if names else "input": value}
    if not isinstance(value, dict) and len(names) > 1:
        raise ApiError(400, "bad_tensor", f"expected an object with {', '.join(names)}")
    return arrays(by_name)


def arrays(by_name: Mapping[str, Any]) -> dict[str, Array]:
    """Nested JSON lists as arrays.

    Raises:
        ApiError: One is none, or there are more than any model takes.
    """
    if len(by_name) > MAX_INPUTS:
        raise ApiError(
            400, "bad_tensor", f"expected at most {MAX_INPUTS} inputs, got {len(by_name)}"
        )
    return {name: numbers(name, entry) for name, entry in by_name.items()}


def numbers(name: str, value: Any) -> Array:
    """A nested JSON list as an array of float64.

    Raises:
        ApiError: Ragged, or not numbers.
    """
    try:
        array = np.asarray(value)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "bad_tensor", f"input {name}: rows differ in length") from error
    if array.dtype.kind not in "iuf":
        raise ApiError(400, "bad_tensor", f"input {name}: expected numbers, got {_kind(value)}")
    return array.astype(np.float64)


def _kind(value: Any) -> str:
    return {"NoneType": "null", "dict": "an object", "list": "a list"}.get(
        type(value).__name__, type(value).__name__
    )
