"""What the page's scripts ask for beside `/api/v1`: live states, live pictures, tried limits."""

from __future__ import annotations

import sqlite3
from itertools import islice
from pathlib import Path
from typing import Any, cast, get_args

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from edge_app.inference.judge import Limits
from edge_app.inference.tasks import TaskKind
from edge_app.lines import Lines
from edge_app.records.database import Database
from edge_app.records.query import Query
from edge_app.web.errors import ApiError
from edge_app.web.feed import Feed
from edge_app.web.preview import preview
from edge_app.web.request import read_json
from edge_app.web.stills import Stills

PREVIEWED = 1000
"""Parts for which new limits are tried."""


def live_routes(blueprint: Blueprint, lines: Lines, feed: Feed, stills: Stills) -> None:
    """What is asked for several times a second; one look at the line serves all viewers."""

    @blueprint.get("/page/live")
    def live() -> ResponseReturnValue:
        after = request.args.get("after", "0")
        if not (after.isascii() and after.isdecimal() and len(after) < 20):
            raise ApiError(400, "bad_filter", f"after: expected an id, got {after[:40]!r}")
        camera = known_camera(lines, request.args.get("camera", ""))
        response = jsonify(feed.to_json(camera, int(after)))
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.get("/page/box")
    def box() -> ResponseReturnValue:
        return jsonify(feed.surroundings.to_json())

    @blueprint.get("/page/cameras/<name>/live.jpg")
    def live_picture(name: str) -> ResponseReturnValue:
        """The newest picture; 304 when it is the one the viewer has, 204 when there is none."""
        still = stills.newest(known_camera(lines, name))
        if not still.jpeg:
            return Response(status=204, headers={"Cache-Control": "no-store"})
        response = Response(still.jpeg, content_type="image/jpeg")
        response.headers["Cache-Control"] = "no-cache"
        response.set_etag(still.mark)
        return response.make_conditional(request)


def preview_route(blueprint: Blueprint, database_path: Path) -> None:
    """What new limits would have done, before they are saved."""

    @blueprint.post("/page/preview")
    def limits_preview() -> ResponseReturnValue:
        """What the limits in the body would have decided for a job's last parts."""
        query, limits, kind = _tried(read_json(request))
        try:
            database = Database(database_path)
        except (sqlite3.Error, OSError) as error:
            raise ApiError(503, "no_records", f"the records can't be read: {error}") from error
        try:
            return jsonify(preview(islice(database.every(query), PREVIEWED), limits, kind))
        finally:
            database.close()


def known_camera(lines: Lines, name: str) -> str:
    """A camera's name, if there is such a camera.

    Raises:
        ApiError: There is none.
    """
    if name not in lines.names:
        raise ApiError(404, "unknown_camera", f"there is no camera {name[:40]!r}")
    return name


def _tried(document: dict[str, Any]) -> tuple[Query, Limits, TaskKind]:
    try:
        limits = Limits.from_json(dict(document["limits"]))
        return Query(job=int(document["job"])), limits, _kind(document.get("task"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ApiError(400, "bad_limits", f"expected a job and its limits: {error}") from error


def _kind(task: object) -> TaskKind:
    kinds = get_args(TaskKind)
    if task is None or task in kinds:
        return cast("TaskKind", task or "classification")
    raise ValueError(f"task: expected one of {', '.join(kinds)}, got {task!r:.40}")
