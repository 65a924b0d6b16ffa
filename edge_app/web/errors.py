"""One JSON shape for every error: `{"error": {"code": ..., "message": ...}}`.

Dialects of others shape the same problems as their clients expect them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from edge_app.door import Busy
from edge_app.engines import UnknownModel
from edge_app.inference.budget import TooLate
from edge_app.inference.decode import BadImage
from edge_app.inference.interpreter import ModelFailed
from edge_app.inference.judge import Code, Decision
from edge_app.jobs import JobError
from edge_app.lines import LineDown
from edge_app.models import StoreError
from edge_app.rows import BadTensor
from edge_app.uploads import NoAnswer
from edge_app.web.request_id import request_id

log = logging.getLogger(__name__)

STATUS: dict[type[Exception], tuple[int, str]] = {
    BadTensor: (400, "bad_tensor"),
    JobError: (400, "bad_job"),
    UnknownModel: (404, "unknown_model"),
    LineDown: (503, "line_down"),
    StoreError: (503, "store_failed"),
    TooLate: (504, "too_late"),
}
"""What each failure is in HTTP."""

BAD_IMAGE = {400: "bad_image", 413: "image_too_large", 415: "unknown_image_kind"}
PASSED_ON = ("allow", "retry-after", "location")
"""Headers of werkzeug's own refusals that belong to the answer."""


class ApiError(Exception):
    """A refusal with its HTTP status, raised where the request is read."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, in whatever dialect it will be told.

    Args:
        status: In HTTP.
        code: In one word.
        message: In one sentence.
        more: Further facts.
        headers: Of the answer.
    """

    status: int
    code: str
    message: str
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Shape = Callable[[Problem], dict[str, Any]]
"""Makes a dialect's error document of a problem."""


def own_shape(problem: Problem) -> dict[str, Any]:
    """The one error shape."""
    return {"error": {"code": problem.code, "message": problem.message, **problem.more}}


def shape_errors(target: Flask | Blueprint, shape: Shape = own_shape) -> None:
    """Answer every failure of an app or a blueprint in one shape."""

    @target.errorhandler(Exception)
    def answer(error: Exception) -> Response:
        problem = problem_of(error)
        response = jsonify(shape(problem))
        response.status_code = problem.status
        response.headers.update(problem.headers)
        return response


def problem_of(error: Exception) -> Problem:
    """What an exception means to a client; only the unexpected ones are logged in full."""
    for kind, tell in TELLERS.items():
        if isinstance(error, kind):
            return tell(error)
    for kind, (status, code) in STATUS.items():
        if isinstance(error, kind):
            return Problem(status, code, str(error))
    log.error("request %s failed", request_id(), exc_info=error)
    return Problem(500, "internal", "the app failed; its log says how")


def _bad_image(error: BadImage) -> Problem:
    return Problem(error.status, BAD_IMAGE.get(error.status, "bad_image"), str(error))


def _busy(error: Busy) -> Problem:
    more = {"retry_after_ms": round(error.retry_after_ms)}
    return Problem(503, error.code, str(error), more, {"Retry-After": str(error.retry_after_s)})


def _no_answer(error: NoAnswer) -> Problem:
    kept = error.inspection
    about = {"id": kept.id, "verdict": str(kept.decision), "verdict_code": int(kept.code)}
    return Problem(504, "too_late", str(error), about)


def _model_failed(error: ModelFailed) -> Problem:
    none = {"verdict": str(Decision.NONE), "verdict_code": int(Code.MODEL_FAILED)}
    return Problem(503, "model_failed", str(error), none)


def _http_problem(error: HTTPException) -> Problem:
    code = (error.name or "error").lower().replace(" ", "_")
    headers = {name: value for name, value in error.get_headers() if name.lower() in PASSED_ON}
    return Problem(error.code or 500, code, error.description or error.name, {}, headers)


TELLERS: dict[type[Exception], Callable[[Any], Problem]] = {
    ApiError: lambda error: Problem(error.status, error.code, str(error)),
    BadImage: _bad_image,
    Busy: _busy,
    NoAnswer: _no_answer,
    ModelFailed: _model_failed,
    HTTPException: _http_problem,
}
"""Failures that know more of themselves than a status."""
