"""`/api/v1/openapi.json`: the routes as they are registered, with schemas of the code's types."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Flask, current_app, jsonify, render_template
from flask.typing import ResponseReturnValue
from werkzeug.routing import Rule

from edge_app.inference.detection import Detection
from edge_app.inference.judge import Decision
from edge_app.jobs import MAX_NUMBER, RANGES, ROI_SIDES
from edge_app.records.counters import Counters
from edge_app.records.database import MAX_PAGE
from edge_app.records.inspection import SHOWN_AS, Inspection
from edge_app.web.reading import MAX_ID
from edge_app.web.request import MAX_PART_CHARS
from edge_app.web.roles import LEAST_ROLE, need_of
from edge_app.web.schemas import Schema, fields_schema, list_of, object_of, schema_of
from edge_app.web.told import CHOICES

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": ["number", "null"]}
ANYTHING: Schema = {"type": "object"}
REVIEW = object_of(verdict=TEXT, by=TEXT, note=TEXT, at=NUMBER)
LISTED = fields_schema(Inspection, SHOWN_AS, without=("label_index", "findings"))
LISTED["properties"] |= {
    "image_url": {"type": ["string", "null"]},
    "reviews": list_of(REVIEW),
    "detections": list_of(schema_of(Detection)),
    "detections_left_out": {"type": "integer"},
    "anomaly": NUMBER,
}
SIDES: Schema = {"type": "integer"}
MAP = object_of(
    **dict.fromkeys(("x", "y", "width", "height", "rows", "columns"), SIDES),
    cells={"type": "string", "format": "byte"},
    low=NUMBER,
    high=NUMBER,
    labels=list_of(TEXT),
)
INSPECTION: Schema = LISTED | {
    "properties": LISTED["properties"] | {"map": {"anyOf": [MAP, {"type": "null"}]}}
}
ANSWER = object_of(
    id={"type": "integer"},
    predicted_class=TEXT,
    confidence=NUMBER,
    class_scores={"type": "object", "additionalProperties": NUMBER},
    detections=list_of(schema_of(Detection)),
    verdict=schema_of(Decision),
    timing_ms=ANYTHING,
)
COUNTS = schema_of(Counters)
JOB: Schema = {
    "type": "object",
    "properties": {
        "number": {"type": "integer", "minimum": 1, "maximum": MAX_NUMBER},
        "name": TEXT,
        "model": TEXT,
        "roi": {
            "type": ["object", "null"],
            "properties": {side: {"type": "integer"} for side in ROI_SIDES},
        },
        "limits": {"type": ["object", "null"]},
        **{
            name: {"type": "number", "minimum": low, "maximum": high}
            for name, (low, high) in RANGES.items()
        },
    },
    "required": ["name", "model"],
}
MODEL = object_of(name=TEXT, active={"type": ["integer", "null"]}, versions=list_of(ANYTHING))
TOLD: dict[str, Schema] = {
    **{name: {"enum": list(words)} for name, words in CHOICES.items()},
    "labels": TEXT,
    "good": TEXT,
    "mean": TEXT,
    "std": TEXT,
}
"""What may be told of a model file from elsewhere."""
MODEL_FORM: Schema = {
    "type": "object",
    "properties": {"model": {"type": "string", "format": "binary"}, **TOLD},
    "required": ["model"],
}
ERROR = object_of(error=object_of(code=TEXT, message=TEXT))
PICTURE_BODY: dict[str, Any] = {
    "multipart/form-data": {"schema": object_of(image={"type": "string", "format": "binary"})},
    "image/*": {"schema": {"type": "string", "format": "binary"}},
    "application/json": {"schema": object_of(image={"type": "string", "format": "byte"})},
}
FILTERS: dict[str, Schema] = {
    "verdict": {"enum": [str(entry) for entry in Decision]},
    "part": TEXT,
    "camera": TEXT,
    "job": {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER},
    "label": TEXT,
    "since": {"type": "number"},
    "until": {"type": "number"},
    "reviewed": {"enum": ["yes", "no"]},
}
PAGE: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
    "before_id": {"type": "integer", "minimum": 1, "maximum": MAX_ID},
}
PART: dict[str, Schema] = {"part": {"type": "string", "maxLength": MAX_PART_CHARS}}


@dataclass(frozen=True, slots=True)
class Call:
    """What stands in no signature: meaning, query, body, answer.

    Args:
        summary: For people.
        answer: Schema of the good answer; None where it is no JSON.
        query: Schemas of what may stand in the address.
        body: Content types and schemas of the body.
        status: Of the good answer.
    """

    summary: str
    answer: Schema | None = None
    query: dict[str, Schema] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    status: int = 200


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


CALLS: dict[str, Call] = {
    "health": Call("Whether uploads can be judged", object_of(model_loaded={"type": "boolean"})),
    "predict.predict": Call("Judge a picture, or run numbers", None, PART, PICTURE_BODY),
    "native.app_status": Call("All that is live", ANYTHING),
    "native.counters": Call("Parts by verdict", object_of(cameras=ANYTHING, uploads=ANYTHING)),
    "native.audit_log": Call(
        "Who changed what",
        object_of(entries=list_of(ANYTHING)),
        {"target": TEXT, "limit": {"type": "integer", "minimum": 1, "maximum": 500}},
    ),
    "native.settings_in_force": Call(
        "All settings in force, without secrets", object_of(toml=TEXT)
    ),
    "native.recent_log": Call(
        "The newest entries of the app's log",
        object_of(entries=list_of(ANYTHING)),
        {"limit": {"type": "integer", "minimum": 1, "maximum": 300}},
    ),
    "inspections.page": Call(
        "A page of records, newest first",
        object_of(inspections=list_of(LISTED), next_before_id={"type": ["integer", "null"]}),
        FILTERS | PAGE,
    ),
    "inspections.create": Call(
        "Judge a picture", ANSWER, PART | {"model": TEXT}, PICTURE_BODY, status=201
    ),
    "inspections.one": Call("One record", INSPECTION),
    "inspections.image": Call("The kept picture", query={"boxes": {"enum": ["0", "1"]}}),
    "inspections.reviews": Call("What people said", object_of(reviews=list_of(REVIEW))),
    "inspections.review": Call(
        "Say what it was",
        REVIEW,
        body=_json({**object_of(verdict={"enum": ["OK", "NG"]}), "additionalProperties": True}),
        status=201,
    ),
    "export.as_csv": Call("All records as a table", query=FILTERS),
    "export.as_json_lines": Call("All records, one a line", query=FILTERS),
    "cameras.cameras": Call("All lines", object_of(cameras=ANYTHING)),
    "cameras.camera": Call("One line", object_of(up={"type": "boolean"}, status=ANYTHING)),
    "cameras.live": Call("The newest frame"),
    "cameras.trigger": Call("Inspect a part now", ANYTHING, PART | {"test": {"enum": ["1"]}}),
    "cameras.switch_job": Call(
        "Load a job", ANYTHING, body=_json(object_of(number={"type": "integer"})), status=202
    ),
    "cameras.reset_shift": Call("Close the shift's counters", ANYTHING),
    "jobs.all_jobs": Call("All jobs", object_of(jobs=list_of(ANYTHING))),
    "jobs.one": Call("One job", ANYTHING),
    "jobs.save": Call("Save a job", JOB, body=_json(JOB)),
    "models.all_models": Call("All models", object_of(models=list_of(MODEL))),
    "models.one": Call("One model", MODEL),
    "models.add": Call(
        "Add a model file",
        ANYTHING,
        {"name": TEXT, "sha256": TEXT, **TOLD},
        {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {"schema": MODEL_FORM},
        },
        status=201,
    ),
    "models.activate": Call("Let a version run", MODEL, {"measure": {"enum": ["0", "1"]}}),
    "models.tune": Call("Measure how a version runs fastest", object_of(tuning=ANYTHING)),
    "models.rollback": Call("Back to the version before", MODEL),
    "models.remove": Call("Delete a version", status=204),
    "session.look": Call("Who I am", object_of(name=TEXT, role=TEXT)),
    "session.log_in": Call(
        "Log in", object_of(name=TEXT), body=_json(object_of(name=TEXT, password=TEXT))
    ),
    "session.log_out": Call("Log out", status=204),
    "session.set_up": Call(
        "Make the first administrator",
        object_of(name=TEXT),
        body=_json(object_of(token=TEXT, name=TEXT, password=TEXT)),
        status=201,
    ),
    "people.all_people": Call("All people", object_of(people=list_of(ANYTHING))),
    "people.save": Call("Add or change a person", ANYTHING, body=_json(object_of(role=TEXT))),
    "people.remove": Call("Forget a person", status=204),
    "people.all_tokens": Call("All tokens", object_of(tokens=list_of(ANYTHING))),
    "people.add_token": Call(
        "Make a token",
        object_of(token=TEXT),
        body=_json(object_of(name=TEXT, role=TEXT)),
        status=201,
    ),
    "people.remove_token": Call("Forget a token", status=204),
    "openapi.document": Call("This document", ANYTHING),
}
"""Further dialects are described by their own projects."""


def openapi_blueprint(version: str) -> Blueprint:
    """Routes of the document and of the page made of it."""
    blueprint = Blueprint("openapi", __name__, url_prefix="/api/v1")

    @blueprint.get("/openapi.json")
    def document() -> ResponseReturnValue:
        return jsonify(describe(current_app, version))

    @blueprint.get("/reference")
    def reference() -> ResponseReturnValue:
        paths = describe(current_app, version)["paths"]
        return render_template("reference.html", paths=paths, version=version)

    return blueprint


def describe(app: Flask, version: str) -> dict[str, Any]:
    """The OpenAPI document of an app's own routes."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint in CALLS:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                paths.setdefault(path, {})[method.lower()] = _operation(rule, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lineside", "version": version},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


def _operation(rule: Rule, method: str) -> dict[str, Any]:
    call, need = CALLS[rule.endpoint], need_of(rule.endpoint) or "admin"
    operation: dict[str, Any] = {
        "operationId": f"{rule.endpoint}.{len(rule.arguments)}.{method.lower()}",
        "summary": call.summary,
        "x-role": LEAST_ROLE.get(need, ""),
        "parameters": [_in_path(rule, name) for name in sorted(rule.arguments)]
        + [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in call.query.items()
        ],
        "responses": {str(call.status): _good(call), "default": _refusal()},
    }
    if call.body is not None:
        operation["requestBody"] = {"required": True, "content": call.body}
    return operation


def _in_path(rule: Rule, name: str) -> dict[str, Any]:
    whole: Schema = {"type": "integer", "minimum": 0}
    text: Schema = {"type": "string", "minLength": 1}
    schema = whole if f"<int:{name}>" in rule.rule else text
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _good(call: Call) -> dict[str, Any]:
    if call.answer is None:
        return {"description": call.summary}
    return {"description": call.summary, "content": _json(call.answer)}


def _refusal() -> dict[str, Any]:
    return {"description": "A refusal", "content": _json(ERROR)}
