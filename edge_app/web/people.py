"""`/api/v1/people` and `/api/v1/tokens`: who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.access import Access, AccessError
from edge_app.audit import Audit
from edge_app.web.errors import ApiError
from edge_app.web.person import person
from edge_app.web.request import read_json


def people_blueprint(access: Access, audit: Audit) -> Blueprint:
    """Routes of people and tokens."""
    blueprint = Blueprint("people", __name__, url_prefix="/api/v1")

    @blueprint.get("/people")
    def all_people() -> ResponseReturnValue:
        return jsonify({"people": access.people()})

    @blueprint.put("/people/<name>")
    def save(name: str) -> ResponseReturnValue:
        document = read_json(request)
        role, password = str(document.get("role", "")), document.get("password")
        old = access.person(name)
        with _refusals():
            known = access.save_person(name, role, None if password is None else str(password))
        said = {"role": known.role, "password": "changed" if password is not None else "kept"}
        audit.write(
            person().name, "access.person", f"person/{name}", old.role if old else None, said
        )
        return jsonify({"name": known.name, "role": known.role}), 200 if old else 201

    @blueprint.delete("/people/<name>")
    def remove(name: str) -> ResponseReturnValue:
        old = access.person(name)
        with _refusals():
            access.remove_person(name)
        audit.write(person().name, "access.person", f"person/{name}", old.role if old else None)
        return "", 204

    @blueprint.get("/tokens")
    def all_tokens() -> ResponseReturnValue:
        return jsonify({"tokens": access.tokens()})

    @blueprint.post("/tokens")
    def add_token() -> ResponseReturnValue:
        document = read_json(request)
        name, role = str(document.get("name", "")), str(document.get("role", ""))
        with _refusals():
            key, text = access.add_token(name, role)
        audit.write(
            person().name, "access.token", f"token/{key}", None, {"name": name, "role": role}
        )
        # The one time that it is told.
        return jsonify({"id": key, "name": name, "role": role, "token": text}), 201

    @blueprint.delete("/tokens/<key>")
    def remove_token(key: str) -> ResponseReturnValue:
        with _refusals():
            access.remove_token(key)
        audit.write(person().name, "access.token", f"token/{key}", "removed")
        return "", 204

    return blueprint


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except AccessError as error:
        raise ApiError(409, "refused", str(error)) from error
