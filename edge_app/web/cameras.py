"""`/api/v1/cameras`: what the lines do, their live pictures, triggers, jobs and shifts."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.audit import Audit
from edge_app.jobs import JobStore
from edge_app.lines import LineReply, Lines
from edge_app.web.errors import ApiError
from edge_app.web.person import person
from edge_app.web.request import part_of, read_json
from edge_app.web.request_id import request_id

TRIGGER_S = 15.0
"""Longer than any deadline that a camera may be given."""


def cameras_blueprint(lines: Lines, jobs: JobStore, audit: Audit) -> Blueprint:
    """Routes of the cameras."""
    blueprint = Blueprint("cameras", __name__, url_prefix="/api/v1/cameras")

    @blueprint.get("")
    def cameras() -> ResponseReturnValue:
        return jsonify({"cameras": {name: lines.state(name).to_json() for name in lines.names}})

    @blueprint.get("/<name>")
    def camera(name: str) -> ResponseReturnValue:
        return jsonify(lines.state(known_camera(lines, name)).to_json())

    @blueprint.get("/<name>/live.jpg")
    def live(name: str) -> ResponseReturnValue:
        response = _passed_on(lines.ask(known_camera(lines, name), "GET", "/live.jpg"))
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.post("/<name>/trigger")
    def trigger(name: str) -> ResponseReturnValue:
        fields = {"part": part_of(request), "test": request.args.get("test", "")}
        fields["request_id"] = request_id()
        known_camera(lines, name)
        return _passed_on(lines.ask(name, "POST", "/trigger", fields, timeout_s=TRIGGER_S))

    @blueprint.post("/<name>/job")
    def switch_job(name: str) -> ResponseReturnValue:
        known_camera(lines, name)
        number = _asked_job(jobs)
        old = lines.state(name).status.get("job")
        reply = lines.ask(name, "POST", "/job", {"number": str(number)})
        if reply.status < 300:
            audit.write(person().name, "camera.job", f"camera/{name}", old, number)
        return _passed_on(reply)

    @blueprint.post("/<name>/reset")
    def reset_shift(name: str) -> ResponseReturnValue:
        known_camera(lines, name)
        reply = lines.ask(name, "POST", "/reset", {"who": person().name[:32]})
        if reply.status < 300:
            closed = reply.json().get("closed")
            audit.write(person().name, "camera.reset", f"camera/{name}", closed, None)
        return _passed_on(reply)

    return blueprint


def known_camera(lines: Lines, name: str) -> str:
    """A camera's name.

    Raises:
        ApiError: There is no such camera.
    """
    if name not in lines.names:
        known = ", ".join(lines.names) or "none"
        raise ApiError(
            404, "unknown_camera", f"there is no camera {name[:40]!r}; there are: {known}"
        )
    return name


def _asked_job(jobs: JobStore) -> int:
    number = read_json(request).get("number")
    if not isinstance(number, int) or isinstance(number, bool) or number not in jobs.numbers():
        known = ", ".join(map(str, jobs.numbers())) or "none"
        raise ApiError(400, "unknown_job", f"number: expected one of the jobs: {known}")
    return number


def _passed_on(reply: LineReply) -> Response:
    return Response(reply.body, status=reply.status, content_type=reply.kind)
