"""What a client tells of a model file: the words of `lineside models add`, in form or address."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from flask import Request
from werkzeug.datastructures import CombinedMultiDict, MultiDict

from edge_app.inference.guess import Told
from edge_app.inference.preprocess import Color, Kernel, Resize
from edge_app.inference.tasks import Activation, TaskKind
from edge_app.web.errors import ApiError

CHOICES: Mapping[str, tuple[str, ...]] = {
    "task": get_args(TaskKind),
    "color": get_args(Color),
    "resize": get_args(Resize),
    "kernel": get_args(Kernel),
    "activation": get_args(Activation),
}
MAX_CHANNELS = 4

Fields = MultiDict[str, str] | CombinedMultiDict[str, str]


def told_of(request: Request) -> Told:
    """What stands in the address, and in the form's fields where the body is a form.

    Raises:
        ApiError: A field holds what can't be meant.
    """
    fields: Fields = request.args
    labels = ""
    if request.mimetype == "multipart/form-data":
        fields = CombinedMultiDict([request.args, request.form])
        labels = _text(request.files["labels"].read()) if "labels" in request.files else ""
    chosen: dict[str, Any] = {name: _choice(fields, name) for name in CHOICES}
    return Told(
        labels=_lines(labels or fields.get("labels", "")),
        good=tuple(label for text in fields.getlist("good") for label in _lines(text)),
        mean=_numbers(fields, "mean"),
        std=_numbers(fields, "std"),
        **chosen,
    )


def _choice(fields: Fields, name: str) -> str | None:
    value = fields.get(name) or None
    if value is not None and value not in CHOICES[name]:
        known = ", ".join(CHOICES[name])
        raise ApiError(400, "bad_description", f"{name}: expected {known}; got {value[:40]!r}")
    return value


def _numbers(fields: Fields, name: str) -> tuple[float, ...]:
    text = fields.get(name, "")
    try:
        numbers = tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        numbers = (math.nan,)
    wrong = not all(map(math.isfinite, numbers)) or len(numbers) > MAX_CHANNELS
    if wrong or (name == "std" and 0.0 in numbers):
        what = "one number, or one for each channel, separated by commas"
        raise ApiError(400, "bad_description", f"{name}: expected {what}; got {text[:40]!r}")
    return numbers


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApiError(
            400, "bad_description", f"labels: expected UTF-8 text, one a line: {error.reason}"
        ) from None
