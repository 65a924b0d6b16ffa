"""The name of a request: in its answer's head, and on every log entry made while it is answered."""

from __future__ import annotations

import logging
import random
import re
from typing import Any

from flask import Flask, Response, request

from edge_app import errand, notify

HEADER = "X-Request-Id"
KEPT_AS = "lineside.request_id"
"""Where a request's id is kept in its environment."""

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Anything else could not stand in a log or a head as it is."""


def id_from(given: str) -> str:
    """The client's own id, or a new one where it gave none that is well formed."""
    if WELL_FORMED.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"


def request_id() -> str:
    """The id of the request that is being answered; the same whenever it is asked for."""
    return id_in(request.environ)


def id_in(environ: dict[str, Any]) -> str:
    """The id of the request with this environment."""
    if KEPT_AS not in environ:
        environ[KEPT_AS] = id_from(environ.get("HTTP_X_REQUEST_ID", ""))
    return str(environ[KEPT_AS])


def name_requests(app: Flask) -> None:
    """Put the request's id on every answer of an app, and on what is done for it."""

    @app.before_request
    def begin() -> None:
        errand.begin(request_id())

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        errand.begin("")

    @app.after_request
    def add(response: Response) -> Response:
        response.headers[HEADER] = request_id()
        return response


def stamp(record: logging.LogRecord) -> bool:
    """A filter for log handlers: the request's id as a field, on every thread that works for it."""
    if current := errand.current():
        record.__dict__.update(notify.fields(request_id=current))
    return True
