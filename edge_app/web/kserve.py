"""Open Inference Protocol v2 (KServe, Triton): JSON and binary tensors.

Tensors of the model's own integer type are its raw values; FP32 are real values, quantized
inside. Outputs are always real values, FP32. For a model of pictures an input of type BYTES
takes whole picture files, each with its length in front (binary) or as base64 (JSON).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.config import AppSettings
from edge_app.engines import Engines, LoadedModel, UnknownModel
from edge_app.inference.budget import Deadline
from edge_app.inference.tensor import Array, TensorInfo
from edge_app.status import AppStatus
from edge_app.uploads import Uploads
from edge_app.web.errors import Problem, shape_errors
from edge_app.web.oip import (
    DATATYPES,
    HEADER,
    Asked,
    bad,
    output_entry,
    parameters_of,
    read_request,
)
from edge_app.web.request import deadline_in

EXTENSIONS = ["binary_tensor_data", "classification", "model_repository"]


def kserve_blueprint(uploads: Uploads, status: AppStatus, settings: AppSettings) -> Blueprint:
    """Routes of the protocol."""
    blueprint = Blueprint("kserve", __name__, url_prefix="/v2")
    shape_errors(blueprint, shape)
    engines = uploads.engines

    @blueprint.get("")
    def server() -> ResponseReturnValue:
        document = {"name": "lineside", "version": status.version, "extensions": EXTENSIONS}
        return jsonify(document)

    @blueprint.get("/health/live")
    def live() -> ResponseReturnValue:
        return jsonify({"live": True})

    @blueprint.get("/health/ready")
    def ready() -> ResponseReturnValue:
        _, able = status.health()
        return jsonify({"ready": able}), 200 if able else 503

    @blueprint.get("/models/<name>")
    @blueprint.get("/models/<name>/versions/<version>")
    def metadata(name: str, version: str = "") -> ResponseReturnValue:
        return jsonify(_metadata(_model(engines, name, version)))

    @blueprint.get("/models/<name>/ready")
    @blueprint.get("/models/<name>/versions/<version>/ready")
    def model_ready(name: str, version: str = "") -> ResponseReturnValue:
        _model(engines, name, version)
        return jsonify({"name": name, "ready": True})

    @blueprint.post("/repository/index")
    def index() -> ResponseReturnValue:
        return jsonify([_indexed(engines, name) for name in engines.store.names()])

    @blueprint.post("/models/<name>/infer")
    @blueprint.post("/models/<name>/versions/<version>/infer")
    def infer(name: str, version: str = "") -> ResponseReturnValue:
        deadline = deadline_in(request.environ, settings.deadline_ms, settings.deadline_max_ms)
        uploads.look(deadline, name)
        asked = read_request(request.get_data(), request.headers.get(HEADER))
        deadline = _shortened(deadline, asked.parameters, settings)
        loaded = _model(engines, name, version, deadline)
        outputs = _run(uploads, loaded, asked, deadline)
        return _answer(loaded, asked, outputs)

    return blueprint


def _shortened(
    deadline: Deadline, parameters: Mapping[str, Any], settings: AppSettings
) -> Deadline:
    """Triton's `timeout` parameter, in microseconds."""
    timeout_us = parameters.get("timeout")
    if not isinstance(timeout_us, int) or isinstance(timeout_us, bool) or timeout_us <= 0:
        return deadline
    budget_ms = min(max(timeout_us / 1000, 1.0), settings.deadline_max_ms)
    return Deadline(deadline.started_at, budget_ms)


def _run(
    uploads: Uploads, loaded: LoadedModel, asked: Asked, deadline: Deadline
) -> Mapping[str, Array]:
    if asked.pictures is not None:
        judged = [
            uploads.judge_image(content, deadline, model=loaded.name) for content in asked.pictures
        ]
        if not judged:
            raise bad("expected at least one picture")
        names = judged[0].prediction.outputs
        return {
            name: np.concatenate([entry.prediction.outputs[name] for entry in judged])
            for name in names
        }
    arrays = {name: v for name, v in asked.inputs.items() if not isinstance(v, list)}
    if len(arrays) != len(asked.inputs):
        raise bad("BYTES: expected pictures as the only input")
    raw = {
        info.name
        for info in loaded.engine.inputs
        if info.quantized and DATATYPES.get(asked.datatypes.get(info.name, "")) == info.dtype
    }
    return uploads.run_tensors(arrays, deadline, model=loaded.name, raw=raw)


def _answer(loaded: LoadedModel, asked: Asked, outputs: Mapping[str, Array]) -> Response:
    labels = loaded.engine.spec.task.labels
    wanted = asked.outputs or tuple({"name": name} for name in outputs)
    binary_by_default = asked.parameters.get("binary_data_output") is True
    entries: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for output in wanted:
        name, parameters = output.get("name"), parameters_of(output)
        if name not in outputs:
            raise bad(f"unknown output {str(name)[:60]!r}; there are: {', '.join(outputs)}")
        entry, blob = output_entry(labels, str(name), outputs[str(name)], parameters)
        if parameters.get("binary_data", binary_by_default) is True:
            entry["parameters"] = {"binary_data_size": len(blob)}
            del entry["data"]
            blobs.append(blob)
        entries.append(entry)
    document = {
        "model_name": loaded.name,
        "model_version": str(loaded.version),
        "outputs": entries,
    } | ({"id": asked.id} if asked.id is not None else {})
    if not blobs:
        return jsonify(document)
    head = json.dumps(document).encode()
    response = Response(b"".join([head, *blobs]), content_type="application/octet-stream")
    response.headers[HEADER] = str(len(head))
    return response


def _model(
    engines: Engines, name: str, version: str, deadline: Deadline | None = None
) -> LoadedModel:
    """The model, whose active version must be the one that is asked for.

    Raises:
        UnknownModel: It is another one.
    """
    loaded = engines.get(name, deadline or Deadline.start(1000))
    if version and version != str(loaded.version):
        raise UnknownModel(f"model {name} runs version {loaded.version}, not {version[:20]}")
    return loaded


def _metadata(loaded: LoadedModel) -> dict[str, Any]:
    engine = loaded.engine
    return {
        "name": loaded.name,
        "versions": [str(loaded.version)],
        "platform": "tensorflow_lite",
        "inputs": [_described(info, _datatype(info)) for info in engine.inputs],
        "outputs": [_described(info, "FP32") for info in engine.outputs],
        "parameters": {"labels": list(engine.spec.task.labels)},
    }


def _described(info: TensorInfo, datatype: str) -> dict[str, Any]:
    return {"name": info.name, "datatype": datatype, "shape": [-1, *info.shape[1:]]}


def _datatype(info: TensorInfo) -> str:
    return next((name for name, dtype in DATATYPES.items() if dtype == info.dtype), "FP32")


def _indexed(engines: Engines, name: str) -> dict[str, str]:
    active, problem = engines.store.active(name), engines.problem(name)
    state = "READY" if engines.peek(name) else "UNAVAILABLE"
    version = str(active.version) if active else ""
    return {"name": name, "version": version, "state": state, "reason": problem}


def shape(problem: Problem) -> dict[str, Any]:
    """An error as the dialect's clients expect it."""
    return {"error": problem.message}
