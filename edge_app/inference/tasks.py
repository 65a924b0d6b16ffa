"""Output tensors to Prediction: what the model said, in words a person knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.anomaly import read_anomaly, reconstruction_error
from edge_app.inference.detection import Detection, read_ssd, read_yolo, suppressed
from edge_app.inference.preprocess import Roi
from edge_app.inference.scores import Scores, finite
from edge_app.inference.tensor import Array
from edge_app.inference.view import View

Real = NDArray[np.float32]

TaskKind = Literal["classification", "detection", "segmentation", "anomaly", "autoencoder", "raw"]
Activation = Literal["none", "softmax", "sigmoid"]
Layout = Literal["", "ssd", "yolo"]
BoxUnit = Literal["normalised", "pixels"]


@dataclass(frozen=True)
class Task:
    """What a model's outputs mean.

    Args:
        kind: How outputs are read.
        labels: Name of each class, in the model's order.
        activation: What still has to be applied to make scores of the outputs:
            `none` when the network ends in a softmax itself.
        layout: For detection: `ssd` (the outputs of TFLite_Detection_PostProcess) or
            `yolo` (one tensor, before suppression of doubles).
        box_unit: For YOLO: whether boxes are told in shares of the model's input or in
            its pixels.
        least_score: For detection: boxes below are not looked at.
        overlap: For YOLO: of two boxes of a class that overlap more (intersection over
            union), the one with the lower score is a double.
        order: For SSD: names of the outputs that hold boxes, classes, scores and count;
            empty where they come in this order.
    """

    kind: TaskKind
    labels: tuple[str, ...] = ()
    activation: Activation = "none"
    layout: Layout = ""
    box_unit: BoxUnit = "normalised"
    least_score: float = 0.25
    overlap: float = 0.45
    order: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for value, kinds in (
            (self.kind, TaskKind),
            (self.activation, Activation),
            (self.layout, Layout),
            (self.box_unit, BoxUnit),
        ):
            if value not in get_args(kinds):
                raise ValueError(f"expected one of {', '.join(get_args(kinds))}, got {value!r}")
        if (self.kind == "detection") != bool(self.layout):
            raise ValueError("a detection needs a layout, ssd or yolo, and nothing else has one")
        if self.order and len(self.order) != 4:
            raise ValueError("an SSD's order names four outputs: boxes, classes, scores, count")
        if not (0 <= self.least_score <= 1 and 0 <= self.overlap <= 1):
            raise ValueError("least_score and overlap must lie between 0 and 1")

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Each label's place in the model's order."""
        return {label: place for place, label in enumerate(self.labels)}

    def to_json(self) -> dict[str, Any]:
        """The form kept in a model file."""
        document: dict[str, Any] = {
            "kind": self.kind,
            "labels": list(self.labels),
            "activation": self.activation,
        }
        if self.kind == "detection":
            document |= {
                "layout": self.layout,
                "box_unit": self.box_unit,
                "least_score": self.least_score,
                "overlap": self.overlap,
                "order": list(self.order),
            }
        return document

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Task:
        """Read what `to_json` wrote.

        Raises:
            ValueError: An entry is not one of the known words or numbers.
        """
        return cls(
            kind=entry["kind"],
            labels=tuple(map(str, entry["labels"])),
            activation=entry["activation"],
            layout=entry.get("layout", ""),
            box_unit=entry.get("box_unit", "normalised"),
            least_score=float(entry.get("least_score", 0.25)),
            overlap=float(entry.get("overlap", 0.45)),
            order=tuple(map(str, entry.get("order", ()))),
        )


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model said of one picture.

    Args:
        label: The class it favours; empty where the task has no classes.
        label_index: That class's place in the label list, -1 where there is none.
        score: How sure it is of that class, 0..1; NaN if the model gave nonsense.
        scores: For each label, in the model's order: its score; the best detection's
            score, 0 without one; the share of the picture that it covers.
        outputs: The output tensors in real values, by name.
        kind: The task these belong to.
        detections: What was found where, best first, in source-image pixels.
        anomaly: How unlike the good ones it is; NaN where the task has no such number.
        heat: For anomaly and segmentation: height x width values (or class numbers)
            over `region`, at the model's resolution.
        region: The part of the source picture that `heat` lies over, in its pixels; None
            without a map, and where no picture was looked at.
        sound: Whether every number the model gave is finite. An unsound prediction
            decides nothing.
    """

    label: str = ""
    label_index: int = -1
    score: float = float("nan")
    scores: Mapping[str, float] = field(default_factory=dict)
    outputs: Mapping[str, Real] = field(default_factory=dict)
    kind: TaskKind = "classification"
    detections: tuple[Detection, ...] = ()
    anomaly: float = float("nan")
    heat: Real | None = None
    region: Roi | None = None
    sound: bool = True


def interpret(
    task: Task,
    outputs: Mapping[str, Real],
    view: View | None = None,
    inputs: Mapping[str, Real] | None = None,
) -> Prediction:
    """Read a model's outputs.

    Args:
        task: What they mean.
        outputs: Real (dequantized) values by name, batch of one first.
        view: Where the model's picture lies in the source's; without one, boxes are
            told in shares of the model's input.
        inputs: What went in, real values; an autoencoder is held against it.

    Raises:
        ValueError: The outputs are not what such a task gives.
    """
    view = view or View.whole(1, 1)
    sound = all(map(finite, outputs.values()))
    if task.kind == "classification":
        return _classified(task, outputs, sound)
    if task.kind == "detection":
        return _detected(task, outputs, view, sound)
    if task.kind == "segmentation":
        return _segmented(task, outputs, view, sound)
    if task.kind == "anomaly":
        score, heat = read_anomaly(outputs, view)
        return Prediction(kind=task.kind, outputs=outputs, anomaly=score, heat=heat, sound=sound)
    if task.kind == "autoencoder":
        error, heat = reconstruction_error(inputs or {}, outputs, view)
        return Prediction(kind=task.kind, outputs=outputs, anomaly=error, heat=heat, sound=sound)
    return Prediction(kind=task.kind, outputs=outputs, sound=sound)


def _classified(task: Task, outputs: Mapping[str, Real], sound: bool) -> Prediction:
    (values, *others) = outputs.values()
    logits = values.reshape(-1)
    if others or logits.size != len(task.labels):
        raise ValueError(
            f"a classification of {len(task.labels)} labels needs one output with as many "
            f"values; the model gives {_shapes(outputs)}"
        )
    scores = activate(logits, task.activation)
    best = int(scores.argmax())
    # argmax of a NaN is the NaN itself, so a nonsense answer keeps a nonsense score.
    return Prediction(
        label=task.labels[best],
        label_index=best,
        score=float(scores[best]),
        scores=Scores(task.places, scores, task.labels),
        outputs=outputs,
        sound=sound and (task.activation == "none" or finite(scores)),
    )


def _detected(task: Task, outputs: Mapping[str, Real], view: View, sound: bool) -> Prediction:
    if task.layout == "ssd":
        candidates = read_ssd(outputs, task.order)
    else:
        found = read_yolo(outputs, view, len(task.labels), task.box_unit, task.least_score)
        candidates = suppressed(found, task.overlap)
    detections = candidates.detections(task.labels, task.least_score, view)
    scores = dict.fromkeys(task.labels, 0.0)
    for detection in detections:
        scores[detection.label] = max(scores[detection.label], detection.score)
    best = detections[0] if detections else None
    return Prediction(
        kind=task.kind,
        label=best.label if best else "",
        label_index=task.labels.index(best.label) if best else -1,
        score=best.score if best else float("nan"),
        scores=scores,
        outputs=outputs,
        detections=detections,
        sound=sound,
    )


def _segmented(task: Task, outputs: Mapping[str, Real], view: View, sound: bool) -> Prediction:
    (values, *others) = outputs.values()
    if others or values.ndim != 4 or values.shape[3] != len(task.labels):
        raise ValueError(
            f"a segmentation of {len(task.labels)} labels needs one output "
            f"[1, height, width, {len(task.labels)}]; the model gives {_shapes(outputs)}"
        )
    # A single class is a mask of its own: its score against one half.
    single = len(task.labels) == 1
    scores = activate(values[0], task.activation)
    classes = (scores[:, :, 0] < 0.5).astype(np.int64) if single else scores.argmax(axis=2)
    classes = view.seen(classes)
    shares = [float((classes == place).mean()) for place in range(len(task.labels))]
    best = int(np.argmax(shares))
    return Prediction(
        kind=task.kind,
        label=task.labels[best],
        label_index=best,
        score=shares[best],
        scores=dict(zip(task.labels, shares, strict=True)),
        outputs=outputs,
        heat=classes.astype(np.float32),
        sound=sound,
    )


def activate(values: Array, activation: Activation) -> NDArray[np.float64]:
    """Scores 0..1 of a network's last values; softmax goes over the last axis."""
    wide = values.astype(np.float64)
    if activation == "softmax":
        # Infinite outputs become NaN here, and the prediction is told to be unsound.
        with np.errstate(invalid="ignore"):
            powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(wide, -60, 60))))
    return wide


def _shapes(outputs: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {list(values.shape)}" for name, values in outputs.items())


def check_labels(labels: Sequence[str]) -> None:
    """Refuse label lists that could not be told apart.

    Raises:
        ValueError: A label is empty or stands twice.
    """
    doubles = sorted(label for label, times in Counter(labels).items() if times > 1)
    if doubles:
        raise ValueError(f"labels stand twice: {', '.join(doubles[:5])}")
    if any(not label.strip() for label in labels):
        raise ValueError("a label is empty")
