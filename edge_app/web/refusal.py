"""The answer to an upload that comes too much, made without the app: it must cost little."""

from __future__ import annotations

import json

from edge_app.door import Busy
from edge_app.web import deepstack, kserve, tfserving
from edge_app.web.errors import Shape, own_shape, problem_of
from edge_app.web.request_id import HEADER, id_from

SHAPES: tuple[tuple[str, Shape], ...] = (
    ("/v2/", kserve.shape),
    ("/v1/vision/", deepstack.shape),
    ("/v1/models/", tfserving.shape),
)
"""Errors as each dialect's clients expect them, by the path's beginning."""


def refusal(path: str, busy: Busy, *, given_id: str, goes_on: bool) -> bytes:
    """The whole answer, headers and all.

    Args:
        path: That was asked for.
        busy: Why not.
        given_id: The client's id of the request, if it gave one.
        goes_on: Whether the connection may be used again.
    """
    problem = problem_of(busy)
    body = json.dumps(_shape(path)(problem)).encode() + b"\n"
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "X-Content-Type-Options": "nosniff",
        HEADER: id_from(given_id),
        **problem.headers,
    }
    if not goes_on:
        headers["Connection"] = "close"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 503 Service Unavailable\r\n{lines}\r\n".encode() + body


def _shape(path: str) -> Shape:
    return next((shape for start, shape in SHAPES if path.startswith(start)), own_shape)
