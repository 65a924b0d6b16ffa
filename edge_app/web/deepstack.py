"""DeepStack's dialect: what Frigate and Home Assistant ask detectors.

Corner pixels, sorted by confidence: Frigate stops reading at the first prediction below 0.4.
"""

from __future__ import annotations

import math
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.config import AppSettings
from edge_app.upload import Judged
from edge_app.uploads import Uploads
from edge_app.web.errors import ApiError, Problem, shape_errors
from edge_app.web.request import deadline_in, image_bytes

LEAST = "min_confidence"


def deepstack_blueprint(uploads: Uploads, settings: AppSettings) -> Blueprint:
    """Routes of the dialect."""
    blueprint = Blueprint("deepstack", __name__, url_prefix="/v1/vision")
    shape_errors(blueprint, shape)

    def judged(model: str) -> Judged:
        deadline = deadline_in(request.environ, settings.deadline_ms, settings.deadline_max_ms)
        uploads.look(deadline, model)
        return uploads.judge_image(image_bytes(request), deadline, model=model)

    @blueprint.post("/detection")
    @blueprint.post("/custom/<model>")
    def detection(model: str = "") -> ResponseReturnValue:
        least = _least_confidence()
        found = [entry for entry in predictions(judged(model)) if entry["confidence"] >= least]
        return jsonify({"success": True, "predictions": found})

    @blueprint.post("/scene")
    def scene() -> ResponseReturnValue:
        kept = judged("").inspection
        return jsonify({"success": True, "label": kept.label, "confidence": round(kept.score, 6)})

    return blueprint


def predictions(judged: Judged) -> list[dict[str, Any]]:
    """Boxes, surest first; a classifier's answer is a box around the whole picture."""
    prediction = judged.prediction
    if prediction.kind == "detection":
        boxes = [
            (found.label, found.score, found.x_min, found.y_min, found.x_max, found.y_max)
            for found in prediction.detections
        ]
    elif prediction.label:
        whole = (0.0, 0.0, float(judged.width_px), float(judged.height_px))
        boxes = [(prediction.label, prediction.score, *whole)]
    else:
        boxes = []
    return [
        {
            "label": label,
            "confidence": round(score, 6),
            "x_min": round(x_min),
            "y_min": round(y_min),
            "x_max": round(x_max),
            "y_max": round(y_max),
        }
        for label, score, x_min, y_min, x_max, y_max in sorted(boxes, key=lambda box: -box[1])
        if math.isfinite(score)
    ]


def _least_confidence() -> float:
    text = request.form.get(LEAST, "0")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ApiError(400, "bad_request", f"{LEAST}: expected 0 to 1, got {text[:20]!r}")
    return value


def shape(problem: Problem) -> dict[str, Any]:
    """An error as the dialect's clients expect it."""
    return {"success": False, "error": problem.message, "predictions": []}
