"""The native dialect, `/api/v1`: for the page and for integrators."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request, send_file
from flask.typing import ResponseReturnValue

from edge_app.config import AppSettings
from edge_app.inference.judge import Decision
from edge_app.lines import Lines
from edge_app.records.database import Database
from edge_app.records.inspection import Inspection
from edge_app.status import AppStatus
from edge_app.uploads import Uploads
from edge_app.web.errors import ApiError
from edge_app.web.predict import image_answer
from edge_app.web.request import (
    decode_base64,
    image_bytes,
    is_json,
    part_of,
    read_json,
    request_deadline,
)

MAX_BEFORE = 2**63 - 1


def native_blueprint(
    *,
    uploads: Uploads,
    lines: Lines,
    status: AppStatus,
    data_dir: Path,
    settings: AppSettings,
) -> Blueprint:
    """Routes of the native dialect."""
    blueprint = Blueprint("native", __name__, url_prefix="/api/v1")

    @blueprint.get("/status")
    def app_status() -> ResponseReturnValue:
        return jsonify(status.to_json())

    _inspection_routes(blueprint, uploads, data_dir, settings)
    _camera_routes(blueprint, lines)
    return blueprint


def _inspection_routes(
    blueprint: Blueprint, uploads: Uploads, data_dir: Path, settings: AppSettings
) -> None:
    database_path = data_dir / "records.db"

    @blueprint.get("/inspections")
    def inspections() -> ResponseReturnValue:
        filters = _filters()
        with _reading(database_path) as database:
            found = database.inspections(**filters)
        full = len(found) == filters["limit"]
        return jsonify(
            {
                "inspections": [_shown(inspection) for inspection in found],
                "next_before_id": found[-1].id if full else None,
            }
        )

    @blueprint.post("/inspections")
    def create() -> ResponseReturnValue:
        deadline = request_deadline(request, settings.deadline_ms, settings.deadline_max_ms)
        content = (
            decode_base64(read_json(request).get("image"))
            if is_json(request)
            else image_bytes(request)
        )
        judged = uploads.judge_image(
            content,
            deadline,
            model=request.args.get("model", ""),
            part=part_of(request),
        )
        return jsonify(_shown(judged.inspection) | image_answer(judged)), 201

    @blueprint.get("/inspections/<int:inspection_id>")
    def inspection(inspection_id: int) -> ResponseReturnValue:
        return jsonify(_shown(_known(database_path, inspection_id)))

    @blueprint.get("/inspections/<int:inspection_id>/image")
    def image(inspection_id: int) -> ResponseReturnValue:
        known = _known(database_path, inspection_id)
        path = data_dir / "images" / known.image
        if not known.image or not path.is_file():
            raise ApiError(404, "no_picture", f"no picture of inspection {inspection_id} is kept")
        return send_file(path.resolve(), max_age=3600)


def _camera_routes(blueprint: Blueprint, lines: Lines) -> None:
    @blueprint.get("/cameras")
    def cameras() -> ResponseReturnValue:
        return jsonify({"cameras": {name: lines.state(name).to_json() for name in lines.names}})

    @blueprint.get("/cameras/<name>")
    def camera(name: str) -> ResponseReturnValue:
        return jsonify(lines.state(_camera(lines, name)).to_json())

    @blueprint.get("/cameras/<name>/live.jpg")
    def live(name: str) -> ResponseReturnValue:
        reply = lines.ask(_camera(lines, name), "GET", "/live.jpg")
        response = Response(reply.body, status=reply.status, content_type=reply.kind)
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.post("/cameras/<name>/trigger")
    def trigger(name: str) -> ResponseReturnValue:
        fields = {"part": part_of(request)}
        reply = lines.ask(_camera(lines, name), "POST", "/trigger", fields, timeout_s=15.0)
        return Response(reply.body, status=reply.status, content_type=reply.kind)


def _camera(lines: Lines, name: str) -> str:
    if name not in lines.names:
        known = ", ".join(lines.names) or "none"
        raise ApiError(404, "unknown_camera", f"there is no camera {name!r}; there are: {known}")
    return name


class _reading:  # noqa: N801 - used like the function contextlib.closing
    """One connection for one request; a database that can't be read is a 503, not a crash."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Database:
        try:
            self._database = Database(self._path)
        except (sqlite3.Error, OSError) as error:
            raise ApiError(503, "no_records", f"the records can't be read: {error}") from error
        return self._database

    def __exit__(self, *_: object) -> None:
        self._database.close()


def _known(path: Path, inspection_id: int) -> Inspection:
    with _reading(path) as database:
        found = database.inspection(min(inspection_id, MAX_BEFORE))
    if found is None:
        raise ApiError(404, "unknown_inspection", f"there is no inspection {inspection_id}")
    return found


def _shown(inspection: Inspection) -> dict[str, Any]:
    document = inspection.to_json()
    url = f"/api/v1/inspections/{inspection.id}/image" if inspection.image else None
    return document | {"image_url": url}


def _filters() -> dict[str, Any]:
    arguments = request.args
    known = {"limit", "before_id", "verdict", "part", "camera", "job", "since", "until"}
    if unknown := arguments.keys() - known:
        raise ApiError(
            400,
            "unknown_filter",
            f"unknown filter {min(unknown)!r}; known: {', '.join(sorted(known))}",
        )
    verdict = arguments.get("verdict", "")
    if verdict and verdict not in list(Decision):
        raise ApiError(
            400, "bad_filter", f"verdict: expected OK, NG, REVIEW or NONE, got {verdict!r}"
        )
    return {
        "limit": _whole("limit", 50, 1, 500),
        "before_id": _whole("before_id", None, 1, MAX_BEFORE),
        "decision": verdict,
        "part": arguments.get("part", ""),
        "camera": arguments.get("camera", ""),
        "job": _whole("job", None, 0, 999),
        "since": _seconds("since"),
        "until": _seconds("until"),
    }


def _whole(name: str, default: int | None, low: int, high: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return default
    digits = text.isascii() and text.isdecimal() and len(text) <= len(str(high))
    if not digits or not low <= int(text) <= high:
        raise ApiError(400, "bad_filter", f"{name}: expected {low} to {high}, got {text[:40]!r}")
    return int(text)


def _seconds(name: str) -> float | None:
    text = request.args.get(name)
    if text is None:
        return None
    try:
        value = float(text)
        time.gmtime(value)
    except (ValueError, OverflowError, OSError):
        raise ApiError(
            400, "bad_filter", f"{name}: expected seconds since 1970, got {text[:40]!r}"
        ) from None
    return value
