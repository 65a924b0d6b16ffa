"""`/api/v1/export.csv` and `.jsonl`: all records that a filter finds, streamed."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from edge_app.records.database import Database
from edge_app.records.inspection import Inspection
from edge_app.records.query import Query
from edge_app.web.errors import ApiError
from edge_app.web.reading import asked_query, records
from edge_app.web.strict_json import finite

COLUMNS = (
    "id",
    "captured_at",
    "camera",
    "source",
    "trigger",
    "part",
    "job",
    "model",
    "verdict",
    "code",
    "reason",
    "label",
    "score",
    "total_ms",
    "late_verdict",
    "late_ms",
    "warning",
    "image",
    "test",
    "request_id",
    "anomaly",
    "detections",
)
"""Of the map there is no cell: it is in the lines of JSON."""

AT_ONCE = 2
"""Exports at once: each holds a thread for as long as its reader takes."""

LINES = 500


def export_blueprint(data_dir: Path) -> Blueprint:
    """Routes of the export."""
    blueprint = Blueprint("export", __name__, url_prefix="/api/v1")
    places = threading.BoundedSemaphore(AT_ONCE)
    path = data_dir / "records.db"

    @blueprint.get("/export.csv")
    def as_csv() -> ResponseReturnValue:
        return _streamed(path, asked_query(), places, "csv", "text/csv; charset=utf-8")

    @blueprint.get("/export.jsonl")
    def as_json_lines() -> ResponseReturnValue:
        return _streamed(path, asked_query(), places, "jsonl", "application/x-ndjson")

    return blueprint


def _streamed(
    path: Path, query: Query, places: threading.BoundedSemaphore, kind: str, media_type: str
) -> Response:
    if not places.acquire(blocking=False):
        raise ApiError(503, "busy", f"{AT_ONCE} exports are under way; try again when one is done")
    try:
        # Opened here, so that a database that can't be read is told by the status.
        with records(path) as database:
            database.inspections(limit=1, query=query)
    except BaseException:
        places.release()
        raise
    response = Response(_lines(path, query, kind), content_type=media_type)
    # Also when the reader leaves half-way, or before the first line.
    response.call_on_close(places.release)
    response.headers["Content-Disposition"] = f'attachment; filename="inspections.{kind}"'
    return response


def _lines(path: Path, query: Query, kind: str) -> Iterator[bytes]:
    line = _csv_line if kind == "csv" else _json_line
    database = Database(path)
    try:
        if kind == "csv":
            yield (",".join(COLUMNS) + "\r\n").encode()
        chunk: list[str] = []
        for inspection in database.every(query):
            chunk.append(line(inspection))
            if len(chunk) == LINES:
                yield "".join(chunk).encode()
                chunk.clear()
        yield "".join(chunk).encode()
    finally:
        database.close()


def _csv_line(inspection: Inspection) -> str:
    document = inspection.to_json()
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_cell(document[name]) for name in COLUMNS])
    return buffer.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    # A spreadsheet would take a part id that begins like this for a formula.
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def _json_line(inspection: Inspection) -> str:
    return json.dumps(finite(inspection.whole_json()), ensure_ascii=False) + "\n"
