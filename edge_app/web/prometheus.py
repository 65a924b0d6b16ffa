"""`/metrics` for Prometheus, and the hook that measures every request."""

from __future__ import annotations

import time

from flask import Blueprint, Flask, Response, request
from flask.typing import ResponseReturnValue

from edge_app.metrics import Metrics
from edge_app.web.request import ARRIVED_AT

TEXT = "text/plain; version=0.0.4; charset=utf-8"


def prometheus_blueprint(metrics: Metrics) -> Blueprint:
    """The route."""
    blueprint = Blueprint("prometheus", __name__)

    @blueprint.get("/metrics")
    def text() -> ResponseReturnValue:
        return Response(metrics.text(), content_type=TEXT)

    return blueprint


def measure_requests(app: Flask, metrics: Metrics) -> None:
    """Count every answer by dialect and status, from its request's last byte on."""

    @app.before_request
    def begin() -> None:
        request.environ.setdefault(ARRIVED_AT, time.monotonic())

    @app.after_request
    def measure(response: Response) -> Response:
        spent_s = time.monotonic() - request.environ[ARRIVED_AT]
        metrics.answered(request.blueprint or "other", response.status_code, spent_s)
        return response
