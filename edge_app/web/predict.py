"""The simple dialect: `POST /predict`, `GET /health`. For scripts, HMIs and people with curl."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from flask.json.provider import JSONProvider
from flask.typing import ResponseReturnValue

from edge_app.config import AppSettings
from edge_app.inference.budget import Deadline
from edge_app.inference.judge import Code
from edge_app.inference.scores import array_of
from edge_app.upload import Judged
from edge_app.uploads import Uploads
from edge_app.web.errors import ApiError
from edge_app.web.request import (
    deadline_in,
    decode_base64,
    image_bytes,
    is_json,
    part_of,
    read_json,
    tensors_of,
)
from edge_app.web.score_text import scores_json


def predict_blueprint(uploads: Uploads, settings: AppSettings) -> Blueprint:
    """Routes of the simple dialect."""
    blueprint = Blueprint("predict", __name__)

    @blueprint.post("/predict")
    @blueprint.post("/predict/<model>")
    @blueprint.post("/predict/<model>/versions/<int:version>")
    def predict(model: str = "", version: int | None = None) -> ResponseReturnValue:
        # A version that does not run yet can be asked beside the one that does.
        model = model if version is None else f"{model}/{version}"
        deadline = deadline_in(request.environ, settings.deadline_ms, settings.deadline_max_ms)
        uploads.look(deadline, model)
        if not is_json(request):
            return _image_answer(uploads, image_bytes(request), deadline, model)
        document = read_json(request)
        if ("image" in document) == ("input" in document):
            raise ApiError(
                400, "bad_json", 'expected either {"image": "<base64>"} or {"input": [...]}'
            )
        if "image" in document:
            return _image_answer(uploads, decode_base64(document["image"]), deadline, model)
        names = [info.name for info in uploads.engines.get(model, deadline).engine.inputs]
        outputs = uploads.run_tensors(tensors_of(document["input"], names), deadline, model=model)
        return jsonify({name: values.tolist() for name, values in outputs.items()})

    return blueprint


def _image_answer(
    uploads: Uploads, content: bytes, deadline: Deadline, model: str
) -> ResponseReturnValue:
    judged = uploads.judge_image(content, deadline, model=model, part=part_of(request))
    return Response(answer_body(current_app.json, judged), content_type="application/json")


def answer_body(json: JSONProvider, judged: Judged) -> bytes:
    """The answer to a picture as JSON."""
    scores = scores_json(judged.prediction.scores)
    about = image_answer(judged) if scores is None else _about(judged)
    text = json.dumps(about, separators=(",", ":")).encode()
    if scores is None:
        return text + b"\n"
    return b'%s,"class_scores":%s}\n' % (text[:-1], scores)


def image_answer(judged: Judged) -> dict[str, Any]:
    """The answer to a picture."""
    return _about(judged) | {"class_scores": _rounded(judged.prediction.scores)}


def _about(judged: Judged) -> dict[str, Any]:
    """All of it but the classes' scores."""
    inspection, anomaly = judged.inspection, judged.prediction.anomaly
    return {
        "id": inspection.id,
        "predicted_class": inspection.label,
        "confidence": round(inspection.score, 6),
        "detections": [dataclasses.asdict(found) for found in judged.prediction.detections],
        # Not NaN: the whole document would have to be searched for more of them.
        "anomaly": anomaly if math.isfinite(anomaly) else None,
        "verdict": str(inspection.decision),
        "code": int(inspection.code),
        "reason": inspection.reason,
        "warning": int(Code.FINE if judged.committed else Code.STORAGE),
        "model": inspection.model,
        "image": {"width": judged.width_px, "height": judged.height_px},
        "timing_ms": {
            **{stage: round(ms, 3) for stage, ms in inspection.laps_ms.items()},
            "total": round(inspection.total_ms, 3),
        },
    }


def _rounded(scores: Mapping[str, float]) -> dict[str, float]:
    """All at once, and not one by one out of an array."""
    return dict(zip(scores, array_of(scores).round(6).tolist(), strict=True))
