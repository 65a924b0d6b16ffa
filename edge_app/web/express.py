"""The commonest request, a program's picture by itself, answered without Flask's machinery.

For each request Flask makes a context, a route, a request and a response, and half a dozen
functions are asked before and after: a fifth of the time that a picture takes in all. What is not
as plain as that goes Flask's way, and so does all that fails, to be told in the same words.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterable
from typing import Any

from flask import Flask, request

from edge_app import errand
from edge_app.config import AppSettings
from edge_app.metrics import Metrics
from edge_app.uploads import Uploads
from edge_app.web.guard import Guard
from edge_app.web.headers import fixed_headers
from edge_app.web.lone_file import lone_file
from edge_app.web.predict import answer_body
from edge_app.web.request import IMAGE_FIELD, deadline_in
from edge_app.web.request_id import HEADER, id_in

PATH, ENDPOINT, DIALECT = "/predict", "predict.predict", "predict"

FAILED = "lineside.failed"
"""Where the environment holds what Flask shall tell the client."""

FORM = re.compile(r"multipart/form-data; *boundary=(\"?)([0-9A-Za-z'+_./:=?-]{1,70})\1", re.ASCII)


class Express:
    """Stands before an app and takes what it can answer itself.

    Args:
        app: The app.
        uploads: Judges.
        guard: Who may ask.
        metrics: Counts answers.
        settings: Deadlines, the largest body, headers.
    """

    def __init__(
        self, app: Flask, uploads: Uploads, guard: Guard, metrics: Metrics, settings: AppSettings
    ) -> None:
        self._flask = app.wsgi_app
        self._json = app.json
        self._uploads = uploads
        self._guard = guard
        self._metrics = metrics
        self._settings = settings
        self._max_bytes = settings.max_body_mb * 1_000_000
        self._headers = fixed_headers(settings)
        if settings.cors_origins:
            self._headers.append(("Vary", "Origin"))

    def attach(self, app: Flask) -> None:
        """Stand before an app; its own guard comes behind, or a failure would be refused."""
        app.before_request(_raise_what_failed)
        app.wsgi_app = self  # type: ignore[method-assign]  # Flask's own way to put one before it

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        content = self._lone_picture(environ)
        if not content:
            return self._flask(environ, start_response)
        try:
            if not self._guard.lets_a_program(ENDPOINT, environ):
                return self._flask(environ, start_response)
            errand.begin(id_in(environ))
            body = self._answer(environ, content)
        # Whatever it is, Flask has the words for it.
        except Exception as error:  # noqa: BLE001 - raised there
            environ[FAILED] = error
            return self._flask(environ, start_response)
        finally:
            errand.begin("")
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            (HEADER, id_in(environ)),
            *self._headers,
        ]
        start_response("200 OK", headers)
        return [body]

    def _answer(self, environ: dict[str, Any], content: bytes) -> bytes:
        settings = self._settings
        deadline = deadline_in(environ, settings.deadline_ms, settings.deadline_max_ms)
        body = answer_body(self._json, self._uploads.judge_image(content, deadline))
        self._metrics.answered(DIALECT, 200, time.monotonic() - deadline.started_at)
        return body

    def _lone_picture(self, environ: dict[str, Any]) -> bytes | None:
        """The picture of a request that consists of nothing else; None of any other."""
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return None
        held = environ["wsgi.input"]
        if environ.get("QUERY_STRING") or not isinstance(held, io.BytesIO) or held.tell():
            return None
        body = held.getvalue()
        whole = environ.get("CONTENT_LENGTH") == str(len(body)) and len(body) <= self._max_bytes
        if not whole:
            return None
        kind = environ.get("CONTENT_TYPE", "")
        if kind.startswith("image/"):
            return body
        form = FORM.fullmatch(kind)
        return lone_file(body, form[2], IMAGE_FIELD) if form else None


def _raise_what_failed() -> None:
    if (error := request.environ.pop(FAILED, None)) is not None:
        raise error
