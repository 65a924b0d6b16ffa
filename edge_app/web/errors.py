"""One JSON shape for every error: `{"error": {"code": ..., "message": ...}}`."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from edge_app.door import Busy
from edge_app.engines import UnknownModel
from edge_app.inference.budget import TooLate
from edge_app.inference.decode import BadImage
from edge_app.inference.interpreter import ModelFailed
from edge_app.jobs import JobError
from edge_app.lines import LineDown
from edge_app.models import StoreError
from edge_app.rows import BadTensor
from edge_app.uploads import NoAnswer

log = logging.getLogger(__name__)

STATUS: dict[type[Exception], tuple[int, str]] = {
    BadTensor: (400, "bad_tensor"),
    UnknownModel: (404, "unknown_model"),
    LineDown: (503, "line_down"),
    JobError: (400, "bad_job"),
    TooLate: (504, "too_late"),
    ModelFailed: (503, "model_failed"),
    StoreError: (503, "store_failed"),
}
"""What each failure is in HTTP."""

BAD_IMAGE = {400: "bad_image", 413: "image_too_large", 415: "unknown_image_kind"}


class ApiError(Exception):
    """A refusal with its HTTP status, raised where the request is read."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def error_response(status: int, code: str, message: str, **more: object) -> Response:
    """The one error shape."""
    response = jsonify({"error": {"code": code, "message": message, **more}})
    response.status_code = status
    return response


def register_errors(app: Flask) -> None:
    """Answer every failure in the one shape; only the unexpected ones are logged in full."""
    for kind, (status, code) in STATUS.items():
        app.register_error_handler(
            kind, lambda error, s=status, c=code: error_response(s, c, str(error))
        )

    @app.errorhandler(ApiError)
    def refused(error: ApiError) -> Response:
        return error_response(error.status, error.code, str(error))

    @app.errorhandler(BadImage)
    def bad_image(error: BadImage) -> Response:
        return error_response(error.status, BAD_IMAGE[error.status], str(error))

    @app.errorhandler(Busy)
    def busy(error: Busy) -> Response:
        response = error_response(
            503, error.code, str(error), retry_after_ms=round(error.retry_after_ms)
        )
        response.headers["Retry-After"] = str(error.retry_after_s)
        return response

    @app.errorhandler(NoAnswer)
    def no_answer(error: NoAnswer) -> Response:
        kept = error.inspection
        about = {"id": kept.id, "verdict": str(kept.decision), "verdict_code": int(kept.code)}
        return error_response(504, "too_late", str(error), **about)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        code = (error.name or "error").lower().replace(" ", "_")
        response = error_response(error.code or 500, code, error.description or error.name)
        for name, value in error.get_headers():
            if name.lower() in ("allow", "retry-after", "location"):
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        log.error("request failed", exc_info=error)
        return error_response(500, "internal", "the app failed; its log says how")
