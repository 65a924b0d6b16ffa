"""Output tensors to Prediction: what the model said, in words a person knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.tensor import Array

TaskKind = Literal["classification", "raw"]
Activation = Literal["none", "softmax", "sigmoid"]


@dataclass(frozen=True, slots=True)
class Task:
    """What a model's outputs mean.

    Args:
        kind: How outputs are read.
        labels: Name of each class, in the model's order.
        activation: What still has to be applied to make scores of the outputs:
            `none` when the network ends in a softmax itself.
    """

    kind: TaskKind
    labels: tuple[str, ...] = ()
    activation: Activation = "none"

    def __post_init__(self) -> None:
        for value, kinds in ((self.kind, TaskKind), (self.activation, Activation)):
            if value not in get_args(kinds):
                raise ValueError(f"expected one of {', '.join(get_args(kinds))}, got {value!r}")

    def to_json(self) -> dict[str, Any]:
        """The form kept in a model file."""
        return {"kind": self.kind, "labels": list(self.labels), "activation": self.activation}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Task:
        """Read what `to_json` wrote."""
        return cls(entry["kind"], tuple(map(str, entry["labels"])), entry["activation"])


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model said of one picture.

    Args:
        label: The class it favours; empty where the task has no classes.
        label_index: That class's place in the label list, -1 where there is none.
        score: How sure it is of that class, 0..1; NaN if the model gave nonsense.
        scores: Score of every label, in the model's order.
        outputs: The output tensors in real values, by name.
    """

    label: str = ""
    label_index: int = -1
    score: float = float("nan")
    scores: Mapping[str, float] = field(default_factory=dict)
    outputs: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


def interpret(task: Task, outputs: Mapping[str, NDArray[np.float32]]) -> Prediction:
    """Read a model's outputs.

    Args:
        task: What they mean.
        outputs: Real (dequantized) values by name, batch of one first.

    Raises:
        ValueError: The outputs are not what such a task gives.
    """
    if task.kind == "raw":
        return Prediction(outputs=outputs)
    return _classified(task, outputs)


def _classified(task: Task, outputs: Mapping[str, NDArray[np.float32]]) -> Prediction:
    (values, *others) = outputs.values()
    logits = values.reshape(-1)
    if others or logits.size != len(task.labels):
        raise ValueError(
            f"a classification of {len(task.labels)} labels needs one output with as many "
            f"values; the model gives {_shapes(outputs)}"
        )
    scores = activate(logits, task.activation)
    best = int(np.argmax(scores))
    # argmax of a NaN is the NaN itself, so a nonsense answer keeps a nonsense score.
    return Prediction(
        label=task.labels[best],
        label_index=best,
        score=float(scores[best]),
        scores=dict(zip(task.labels, map(float, scores), strict=True)),
        outputs=outputs,
    )


def activate(values: Array, activation: Activation) -> NDArray[np.float64]:
    """Scores 0..1 of a network's last values."""
    wide = values.astype(np.float64)
    if activation == "softmax":
        powers = np.exp(wide - wide.max())
        return np.asarray(powers / powers.sum())
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
    doubles = sorted({label for label in labels if labels.count(label) > 1})
    if doubles:
        raise ValueError(f"labels stand twice: {', '.join(doubles[:5])}")
    if any(not label.strip() for label in labels):
        raise ValueError("a label is empty")
