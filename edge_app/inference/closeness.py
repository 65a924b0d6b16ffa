"""Whether two answers of one model are the same for all that matters.

Two runtimes, or one runtime on two kinds of processor, never agree to the last bit:
quantized scores differ by up to 20 of 255 steps between them. What may not differ is
what is made of the scores.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.detection import Detection
from edge_app.inference.tasks import Prediction, Task, interpret

Real = NDArray[np.float32]

SCORE_TOLERANCE = 0.1
"""Largest difference of a class's score; measured between runtimes: 0.08."""

CLEAR_SCORE = 0.4
"""Boxes with at least this score must be there on both sides, those below may come and go."""

LEAST_OVERLAP = 0.5
VALUE_TOLERANCE = 0.05
"""For other numbers: largest root mean square difference, in shares of their spread."""


def difference(
    task: Task,
    expected: Mapping[str, Real],
    given: Mapping[str, Real],
    inputs: Mapping[str, Real],
    tolerance: float = SCORE_TOLERANCE,
) -> str:
    """What is different between two answers to one input; empty if nothing that matters.

    Args:
        task: What the outputs mean.
        expected: Real values by output name.
        given: The same from elsewhere.
        inputs: What went in, real values.
        tolerance: Largest difference of a score, 0..1.

    Raises:
        ValueError: The outputs are not what such a task gives.
    """
    for name, values in given.items():
        if not np.isfinite(values).all():
            return f"output {name} holds numbers that are none"
    was = interpret(task, expected, inputs=inputs)
    now = interpret(task, given, inputs=inputs)
    if task.kind == "classification":
        return _labels_differ(was, now, tolerance)
    if task.kind == "detection":
        return _boxes_differ(was, now) or _boxes_differ(now, was)
    if task.kind == "segmentation":
        return _scores_differ(was, now, tolerance)
    return _values_differ(expected, given)


def _labels_differ(was: Prediction, now: Prediction, tolerance: float) -> str:
    lead = was.score - was.scores.get(now.label, 0.0)
    if now.label != was.label and lead > tolerance:
        return f"expected {was.label} ({was.score:.2f}), got {now.label} ({now.score:.2f})"
    return _scores_differ(was, now, tolerance)


def _scores_differ(was: Prediction, now: Prediction, tolerance: float) -> str:
    for label, score in was.scores.items():
        if abs(now.scores[label] - score) > tolerance:
            return f"expected {label} {score:.2f}, got {now.scores[label]:.2f}"
    return ""


def _boxes_differ(was: Prediction, now: Prediction) -> str:
    for wanted in was.detections:
        if wanted.score < CLEAR_SCORE + SCORE_TOLERANCE:
            continue
        near = [
            found
            for found in now.detections
            if found.label == wanted.label
            and abs(found.score - wanted.score) <= 2 * SCORE_TOLERANCE
            and _overlap(found, wanted) >= LEAST_OVERLAP
        ]
        if not near:
            return f"a box of {wanted.label} ({wanted.score:.2f}) is not on both sides"
    return ""


def _overlap(a: Detection, b: Detection) -> float:
    width = min(a.x_max, b.x_max) - max(a.x_min, b.x_min)
    height = min(a.y_max, b.y_max) - max(a.y_min, b.y_min)
    common = max(0.0, width) * max(0.0, height)
    union = a.area_px2 + b.area_px2 - common
    return common / union if union > 0 else 0.0


def _values_differ(expected: Mapping[str, Real], given: Mapping[str, Real]) -> str:
    for name, values in expected.items():
        if given[name].shape != values.shape:
            return f"output {name} has shape {given[name].shape}, expected {values.shape}"
        if not values.size:
            continue
        error = float(np.sqrt(np.mean(np.square(given[name].astype(np.float64) - values))))
        # Constant outputs have no spread: they are held against their own size.
        spread = float(values.std()) or float(np.abs(values).max()) or 1.0
        if error > VALUE_TOLERANCE * spread:
            return f"output {name} is off by {error:.3g} where its values spread over {spread:.3g}"
    return ""
