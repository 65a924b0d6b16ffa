"""`/api/v1/models`: which models there are; upload, activate, measure, roll back, remove."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.audit import Audit
from edge_app.engines import Engines
from edge_app.lines import Lines
from edge_app.models import ModelStore, ModelVersion, StoreError
from edge_app.web.errors import ApiError
from edge_app.web.jobs import reload_lines
from edge_app.web.person import person
from edge_app.web.told import told_of

FIELD = "model"


def models_blueprint(engines: Engines, lines: Lines, audit: Audit) -> Blueprint:
    """Routes of the models."""
    blueprint = Blueprint("models", __name__, url_prefix="/api/v1/models")
    store = engines.store
    changing = threading.Lock()
    switch = _Switch(engines, lines, audit)

    @blueprint.get("")
    def all_models() -> ResponseReturnValue:
        return jsonify({"models": [_shown(engines, name) for name in store.names()]})

    @blueprint.get("/<name>")
    def one(name: str) -> ResponseReturnValue:
        _known(store, name)
        return jsonify(_shown(engines, name))

    @blueprint.post("")
    def add() -> ResponseReturnValue:
        content, source = _asked_file()
        name, told = request.args.get("name") or None, told_of(request)
        sha256 = request.args.get("sha256", "")[:100]
        with _one_change(changing), _refusals():
            version = store.add_content(content, name, told, source=source, sha256=sha256)
            spec = store.load(version).spec
        audit.write(person().name, "model.add", f"model/{version.name}", None, version.version)
        understood = {"task": spec.task.kind, "assumed": list(spec.made.get("assumed", ()))}
        return jsonify(_shown_version(store, version) | understood), 201

    @blueprint.post("/<name>/versions/<int:version>/activate")
    def activate(name: str, version: int) -> ResponseReturnValue:
        _known(store, name, version)
        old = store.active(name)
        with _one_change(changing), _refusals():
            store.activate(name, version, measure=request.args.get("measure", "1") != "0")
        return switch.done("model.activate", name, old)

    @blueprint.post("/<name>/versions/<int:version>/tune")
    def tune(name: str, version: int) -> ResponseReturnValue:
        _known(store, name, version)
        with _one_change(changing), _refusals():
            tuning = store.measure(name, version)
        audit.write(person().name, "model.tune", f"model/{name}", None, version)
        return jsonify({"name": name, "version": version, "tuning": tuning.to_json()})

    @blueprint.post("/<name>/rollback")
    def rollback(name: str) -> ResponseReturnValue:
        _known(store, name)
        old = store.active(name)
        with _one_change(changing), _refusals():
            store.rollback(name)
        return switch.done("model.rollback", name, old)

    @blueprint.delete("/<name>/versions/<int:version>")
    def remove(name: str, version: int) -> ResponseReturnValue:
        _known(store, name, version)
        with _one_change(changing), _refusals():
            store.remove(name, version)
        audit.write(person().name, "model.remove", f"model/{name}", version, None)
        return "", 204

    return blueprint


@dataclass(frozen=True, slots=True)
class _Switch:
    """Has app and lines take up the version of a model that is active now."""

    engines: Engines
    lines: Lines
    audit: Audit

    def done(self, action: str, name: str, old: ModelVersion | None) -> ResponseReturnValue:
        """The model as it is after the change."""
        new = self.engines.store.active(name)
        versions = [version.version if version else None for version in (old, new)]
        self.audit.write(person().name, action, f"model/{name}", *versions)
        self.engines.refresh()
        reload_lines(self.lines, model=name)
        return jsonify(_shown(self.engines, name))


@contextmanager
def _one_change(changing: threading.Lock) -> Iterator[None]:
    """Proving and measuring take long, and two at once would measure each other."""
    if not changing.acquire(blocking=False):
        raise ApiError(409, "busy", "another change of a model is under way")
    try:
        yield
    finally:
        changing.release()


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise ApiError(409, "refused", str(error)) from error


def _asked_file() -> tuple[bytes, str]:
    """A model file: the multipart field `model`, or the raw body."""
    if request.mimetype == "multipart/form-data":
        upload = request.files.get(FIELD)
        if upload is None:
            raise ApiError(400, "no_model", f"expected a file in the field {FIELD!r}")
        return upload.read(), (upload.filename or "upload.tflite")[:200]
    content = request.get_data()
    if not content:
        raise ApiError(400, "no_model", f"expected a model: field {FIELD!r} or a raw body")
    return content, "upload.tflite"


def _known(store: ModelStore, name: str, version: int | None = None) -> None:
    try:
        versions = store.versions(name)
        if not versions or version is not None:
            store.version(name, version if version is not None else 0)
    except StoreError as error:
        raise ApiError(404, "unknown_model", str(error)) from error


def _shown(engines: Engines, name: str) -> dict[str, Any]:
    store = engines.store
    active, loaded = store.active(name), engines.peek(name)
    document: dict[str, Any] = {
        "name": name,
        "active": active.version if active else None,
        "loaded": loaded.version if loaded else None,
        "problem": engines.problem(name) if loaded or name == engines.default else "",
        "default": name == engines.default,
        "versions": [_shown_version(store, version) for version in store.versions(name)],
    }
    return document | (_about(store, active) if active else {})


def _about(store: ModelStore, version: ModelVersion) -> dict[str, Any]:
    """What the active version's file says, and what was measured for it here."""
    tuning = store.tuning(version)
    try:
        spec = store.load(version).spec
    except StoreError as error:
        return {"fault": str(error)}
    return {
        "task": spec.task.kind,
        "labels": list(spec.task.labels),
        "limits": spec.limits.to_json(),
        "inputs": [info.to_json() for info in spec.inputs],
        "outputs": [info.to_json() for info in spec.outputs],
        "mode": spec.mode,
        "made": dict(spec.made),
        "comparison": dict(spec.comparison),
        "tuning": tuning.to_json() if tuning else None,
    }


def _shown_version(store: ModelStore, version: ModelVersion) -> dict[str, Any]:
    active = store.active(version.name)
    return {
        "name": version.name,
        "version": version.version,
        "active": version == active,
        "bytes": version.path.stat().st_size,
        "added_at": version.path.stat().st_mtime,
    }
