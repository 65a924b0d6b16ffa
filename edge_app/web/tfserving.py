"""TensorFlow Serving's REST dialect: model status, metadata, `:predict`.

Numbers are real values. For a model of pictures an instance may be `{"b64": "..."}`, a
picture file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.config import AppSettings
from edge_app.engines import Engines, LoadedModel, UnknownModel
from edge_app.inference.budget import Deadline
from edge_app.inference.tensor import Array, TensorInfo
from edge_app.uploads import Uploads
from edge_app.web.errors import ApiError, Problem, shape_errors
from edge_app.web.request import arrays, deadline_in, decode_base64, numbers, read_json

SIGNATURE = "serving_default"
TYPES = {
    "float32": "DT_FLOAT",
    "uint8": "DT_UINT8",
    "int8": "DT_INT8",
    "int16": "DT_INT16",
    "int32": "DT_INT32",
    "int64": "DT_INT64",
    "bool": "DT_BOOL",
}


def tfserving_blueprint(uploads: Uploads, settings: AppSettings) -> Blueprint:
    """Routes of the dialect."""
    blueprint = Blueprint("tfserving", __name__, url_prefix="/v1/models")
    shape_errors(blueprint, shape)
    engines = uploads.engines

    @blueprint.get("/<name>")
    @blueprint.get("/<name>/versions/<version>")
    def status(name: str, version: str = "") -> ResponseReturnValue:
        loaded = _model(engines, name, version)
        fine = {"error_code": "OK", "error_message": ""}
        state = {"version": str(loaded.version), "state": "AVAILABLE", "status": fine}
        return jsonify({"model_version_status": [state]})

    @blueprint.get("/<name>/metadata")
    @blueprint.get("/<name>/versions/<version>/metadata")
    def metadata(name: str, version: str = "") -> ResponseReturnValue:
        return jsonify(_metadata(_model(engines, name, version)))

    @blueprint.post("/<name>:predict")
    @blueprint.post("/<name>/versions/<version>:predict")
    def predict(name: str, version: str = "") -> ResponseReturnValue:
        deadline = deadline_in(request.environ, settings.deadline_ms, settings.deadline_max_ms)
        uploads.look(deadline, name)
        document = read_json(request)
        if document.get("signature_name", SIGNATURE) != SIGNATURE:
            raise ApiError(400, "bad_request", f"signature_name: expected {SIGNATURE!r}")
        if ("instances" in document) == ("inputs" in document):
            raise ApiError(400, "bad_request", "expected either instances or inputs")
        loaded = _model(engines, name, version, deadline)
        if "instances" in document:
            return jsonify(
                {"predictions": _by_row(uploads, loaded, document["instances"], deadline)}
            )
        return jsonify({"outputs": _by_column(uploads, loaded, document["inputs"], deadline)})

    return blueprint


def _by_row(uploads: Uploads, loaded: LoadedModel, instances: Any, deadline: Deadline) -> list[Any]:
    """Row format: a list of instances, a prediction for each."""
    if not isinstance(instances, list) or not instances:
        raise ApiError(400, "bad_request", "instances: expected a list of at least one")
    files = [_file(instance) for instance in instances]
    if all(files):
        outputs = _judged(uploads, loaded, [file or b"" for file in files], deadline)
    elif isinstance(instances[0], dict):
        outputs = uploads.run_tensors(_columns(instances), deadline, model=loaded.name)
    else:
        name = _only_input(loaded)
        rows = numbers(name, instances)
        outputs = uploads.run_tensors({name: rows}, deadline, model=loaded.name)
    if len(outputs) == 1:
        (values,) = outputs.values()
        return list(values.tolist())
    listed = {name: values.tolist() for name, values in outputs.items()}
    return [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]


def _by_column(uploads: Uploads, loaded: LoadedModel, inputs: Any, deadline: Deadline) -> Any:
    """Column format: a tensor by name, or the only one without."""
    by_name = inputs if isinstance(inputs, dict) else {_only_input(loaded): inputs}
    outputs = uploads.run_tensors(arrays(by_name), deadline, model=loaded.name)
    listed = {name: values.tolist() for name, values in outputs.items()}
    return next(iter(listed.values())) if len(listed) == 1 else listed


def _columns(instances: list[Any]) -> dict[str, Array]:
    names = instances[0].keys()
    if not all(isinstance(row, dict) and row.keys() == names for row in instances):
        raise ApiError(400, "bad_request", "instances: expected the same inputs in each")
    return arrays({name: [row[name] for row in instances] for name in names})


def _file(instance: Any) -> bytes | None:
    """The picture file of an instance, with or without the input's name around it."""
    if isinstance(instance, dict) and len(instance) == 1:
        (value,) = instance.values()
        if isinstance(value, dict) and value.keys() == {"b64"}:
            return decode_base64(value["b64"], "b64")
        if instance.keys() == {"b64"}:
            return decode_base64(value, "b64")
    return None


def _judged(
    uploads: Uploads, loaded: LoadedModel, files: list[bytes], deadline: Deadline
) -> Mapping[str, Array]:
    found = [uploads.judge_image(file, deadline, model=loaded.name).prediction for file in files]
    return {
        name: np.concatenate([prediction.outputs[name] for prediction in found])
        for name in found[0].outputs
    }


def _only_input(loaded: LoadedModel) -> str:
    names = [info.name for info in loaded.engine.inputs]
    if len(names) != 1:
        raise ApiError(400, "bad_request", f"expected inputs by name: {', '.join(names)}")
    return names[0]


def _model(
    engines: Engines, name: str, version: str, deadline: Deadline | None = None
) -> LoadedModel:
    try:
        loaded = engines.get(name, deadline or Deadline.start(1000))
    except UnknownModel:
        raise UnknownModel(f"Servable not found for request: Latest({name[:64]})") from None
    if version and version != str(loaded.version):
        raise UnknownModel(f"Servable not found for request: Specific({name}, {version[:20]})")
    return loaded


def _metadata(loaded: LoadedModel) -> dict[str, Any]:
    engine = loaded.engine
    signature = {
        "inputs": {info.name: _described(info) for info in engine.inputs},
        "outputs": {info.name: _described(info) for info in engine.outputs},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    return {
        "model_spec": {
            "name": loaded.name,
            "signature_name": "",
            "version": str(loaded.version),
        },
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _described(info: TensorInfo) -> dict[str, Any]:
    """Numbers are strings here, and a quantized tensor takes and gives real values."""
    dimensions = [{"size": str(size), "name": ""} for size in (-1, *info.shape[1:])]
    return {
        "dtype": "DT_FLOAT" if info.quantized else TYPES.get(info.dtype, "DT_FLOAT"),
        "tensor_shape": {"dim": dimensions, "unknown_rank": False},
        "name": info.name,
    }


def shape(problem: Problem) -> dict[str, Any]:
    """An error as the dialect's clients expect it."""
    return {"error": problem.message}
