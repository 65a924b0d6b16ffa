"""Boxes: what a detector gives out, in one form, without doubles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.view import View

Real = NDArray[np.float32]

MAX_CANDIDATES = 600
"""Best boxes that are searched for doubles: the search grows with their square."""

MAX_DETECTIONS = 300


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing found, its corners in source-image pixels."""

    label: str
    score: float
    x_min: float
    y_min: float
    x_max: float
    y_max: float

    @property
    def area_px2(self) -> float:
        """Square pixels of the source picture."""
        return (self.x_max - self.x_min) * (self.y_max - self.y_min)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes as the model tells them.

    Args:
        boxes: n x 4, x_min, y_min, x_max, y_max in shares of the model's input.
        scores: n, 0..1.
        classes: n, places in the label list.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    classes: NDArray[np.int64]

    def best(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> Candidates:
        """Those at the given places."""
        return Candidates(self.boxes[places], self.scores[places], self.classes[places])

    def detections(
        self, labels: Sequence[str], least_score: float, view: View
    ) -> tuple[Detection, ...]:
        """Named boxes in source pixels, best first; those outside the picture are left out."""
        known = (self.classes >= 0) & (self.classes < len(labels))
        kept = self.best(known & (self.scores >= least_score))
        kept = kept.best(np.argsort(-kept.scores, kind="stable")[:MAX_DETECTIONS])
        corners = view.boxes(kept.boxes)
        return tuple(
            Detection(labels[place], float(score), *map(float, box))
            for box, score, place in zip(corners, kept.scores, kept.classes, strict=True)
            if box[2] > box[0] and box[3] > box[1]
        )


def read_ssd(outputs: Mapping[str, Real], order: Sequence[str] = ()) -> Candidates:
    """The four outputs of TFLite_Detection_PostProcess, which has removed doubles itself.

    Args:
        outputs: By name.
        order: Names of boxes, classes, scores and count; as they come where it is empty.

    Raises:
        ValueError: These are not four such outputs.
    """
    arrays = [outputs[name] for name in order or outputs if name in outputs]
    if len(arrays) != 4 or arrays[0].ndim != 3 or arrays[0].shape[2] != 4:
        raise ValueError(_wrong("boxes [1, n, 4], classes [1, n], scores [1, n], count", outputs))
    boxes, classes, scores = arrays[0][0], arrays[1].reshape(-1), arrays[2].reshape(-1)
    if not len(boxes) == len(classes) == len(scores):
        raise ValueError(_wrong("as many boxes as classes and scores", outputs))
    count = arrays[3].reshape(-1)[:1]
    found = int(np.clip(np.nan_to_num(count).sum(), 0, len(boxes)))
    return Candidates(
        # Told as top, left, bottom, right.
        boxes[:found][:, [1, 0, 3, 2]].astype(np.float64),
        scores[:found].astype(np.float64),
        np.nan_to_num(classes[:found], nan=-1, posinf=-1, neginf=-1).astype(np.int64),
    )


def ssd_order(outputs: Mapping[str, Real]) -> tuple[str, ...]:
    """Names of an SSD's boxes, classes, scores and count, told from one run's values.

    Exporters disagree about the order: classes are whole numbers and scores are not.

    Raises:
        ValueError: These are not four such outputs.
    """
    boxes = [name for name, values in outputs.items() if values.ndim == 3 and values.shape[2] == 4]
    counts = [name for name, values in outputs.items() if values.size == 1 and values.ndim < 2]
    pair = [name for name in outputs if name not in boxes + counts]
    if len(boxes) != 1 or len(counts) != 1 or len(pair) != 2:
        raise ValueError(_wrong("boxes [1, n, 4], classes [1, n], scores [1, n], count", outputs))
    whole = [bool((outputs[name] == np.rint(outputs[name])).all()) for name in pair]
    names = list(outputs)
    reverse = names.index(counts[0]) < names.index(boxes[0]) if whole[0] == whole[1] else whole[1]
    classes, scores = reversed(pair) if reverse else pair
    return boxes[0], classes, scores, counts[0]


def read_yolo(
    outputs: Mapping[str, Real], view: View, labels: int, box_unit: str, least_score: float
) -> Candidates:
    """YOLO's single tensor: [1, 4+labels, n], or [1, n, 5+labels] with an objectness.

    Either axis may come last. Boxes are centre and size.

    Raises:
        ValueError: The tensor has neither 4 nor 5 channels more than there are labels.
    """
    (values, *others) = outputs.values()
    channels = {4 + labels, 5 + labels}
    if others or values.ndim != 3 or not labels or not channels & set(values.shape[1:]):
        raise ValueError(_wrong(f"one tensor [1, {4 + labels} or {5 + labels}, n]", outputs))
    rows = values[0]
    if rows.shape[0] in channels and (rows.shape[1] not in channels or rows.shape[0] < len(rows.T)):
        rows = rows.T
    scores = rows[:, -labels:]
    if rows.shape[1] == 5 + labels:
        scores = scores * rows[:, 4:5]
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes].astype(np.float64)
    kept = np.flatnonzero(best >= least_score)
    kept = kept[np.argsort(-best[kept], kind="stable")[:MAX_CANDIDATES]]
    boxes = rows[kept, :4].astype(np.float64)
    if box_unit == "pixels":
        boxes /= [view.model_width_px, view.model_height_px] * 2
    half = boxes[:, 2:] / 2
    corners = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return Candidates(corners, best[kept], classes[kept].astype(np.int64))


def suppressed(found: Candidates, overlap: float) -> Candidates:
    """Without doubles: of two boxes of a class that overlap more than `overlap`, the better stays.

    Args:
        found: Best score first.
        overlap: Intersection over union, 0..1.
    """
    areas = (found.boxes[:, 2:] - found.boxes[:, :2]).clip(0).prod(axis=1)
    open_places = np.arange(len(found.boxes))
    kept: list[int] = []
    while open_places.size:
        first, rest = open_places[0], open_places[1:]
        kept.append(int(first))
        corner = np.maximum(found.boxes[first, :2], found.boxes[rest, :2])
        other = np.minimum(found.boxes[first, 2:], found.boxes[rest, 2:])
        common = (other - corner).clip(0).prod(axis=1)
        union = areas[first] + areas[rest] - common
        double = (common > overlap * union) & (found.classes[rest] == found.classes[first])
        open_places = rest[~double]
    return found.best(np.asarray(kept, dtype=np.intp))


def _wrong(expected: str, outputs: Mapping[str, Real]) -> str:
    shapes = ", ".join(f"{name} {list(values.shape)}" for name, values in outputs.items())
    return f"a detection of this layout needs {expected}; the model gives {shapes}"
