"""Float against quantized on the same samples: agreement, accuracy, recall, distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.calibration import Samples
from convert.errors import Refused
from convert.proof import Run
from edge_app.inference.closeness import difference
from edge_app.inference.tasks import Task, activate
from edge_app.inference.tensor import Array

Scores = NDArray[np.float64]
"""Score of each label, [n, labels]."""

NAN = float("nan")
WORST = 12
"""Samples that the report shows."""


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """How often a label's pictures were recognised.

    Args:
        count: Pictures of that label.
        float_recall: Share that the float model names so.
        recall: Share that this model names so.
    """

    count: int
    float_recall: float
    recall: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One model in one runtime, against the float model.

    Args:
        runtime: Where it ran.
        distances: Difference of each sample's answer: of its scores, 0..1; for outputs
            that are no scores in shares of their range.
        invoke_ms: Median milliseconds of one invoke.
        agreement: Share of answers that say the same: equal top labels, the same boxes,
            equal classes of pixels; NaN for bare numbers.
        float_accuracy: Share right of the labelled ones; NaN without labels.
        accuracy: The same for this model.
        by_label: Figures of each label that has pictures.
        worst: Places of the samples that differ most, the worst first.
        confusion: Rows true, columns said by this model; empty without labels.
        float_confusion: The same for the float model.
    """

    runtime: str
    distances: Array
    invoke_ms: float
    agreement: float = NAN
    float_accuracy: float = NAN
    accuracy: float = NAN
    by_label: Mapping[str, ClassFigures] = field(default_factory=dict)
    worst: tuple[int, ...] = ()
    confusion: Array | None = None
    float_confusion: Array | None = None

    @property
    def mean_distance(self) -> float:
        """Mean difference of an answer."""
        return float(self.distances.mean())

    @property
    def max_distance(self) -> float:
        """The largest difference of any answer."""
        return float(self.distances.max())

    def to_json(self) -> dict[str, Any]:
        """The figures, as kept in the model file and the report; NaN becomes null."""
        return {
            "samples": len(self.distances),
            "agreement": figure(self.agreement),
            "float_accuracy": figure(self.float_accuracy),
            "accuracy": figure(self.accuracy),
            "by_label": {
                label: {
                    "count": f.count,
                    "float_recall": figure(f.float_recall),
                    "recall": figure(f.recall),
                }
                for label, f in self.by_label.items()
            },
            "mean_distance": figure(self.mean_distance),
            "max_distance": figure(self.max_distance),
            "invoke_ms": figure(self.invoke_ms),
        }


def figure(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return round(float(value), 4) if np.isfinite(value) else None


def scores_of(task: Task, run: Run) -> Scores:
    """Score of each label for each sample of a classification.

    Raises:
        Refused: The model has not one value for each label.
    """
    values = run.real()
    sizes = {name: array[0].size for name, array in values.items()}
    if list(sizes.values()) != [len(task.labels)]:
        raise Refused(
            f"{len(task.labels)} labels need one output with as many values; the model gives "
            + ", ".join(f"{name!r} with {size}" for name, size in sizes.items())
        )
    (array,) = values.values()
    return np.stack([activate(row.reshape(-1), task.activation) for row in array])


def compare(task: Task, reference: Run, run: Run, truth: Array, samples: Samples) -> Comparison:
    """Hold a model's answers against the float model's.

    Args:
        task: What the outputs mean.
        reference: The float model's answers.
        run: This model's answers to the same samples.
        truth: Place of each sample's true label; -1 where it is not known.
        samples: What went in.
    """
    if task.kind == "classification":
        return _compare_scores(task, scores_of(task, reference), scores_of(task, run), truth, run)
    before, after = reference.real(), run.real()
    distances = _relative(before, after)
    agreement = NAN
    if task.kind in ("detection", "segmentation"):
        same = alike(task, reference, run, samples)
        distances = distances + ~same
        agreement = float(same.mean())
    return Comparison(run.runtime, distances, run.invoke_ms, agreement, worst=_worst(distances))


def alike(task: Task, reference: Run, run: Run, samples: Samples) -> NDArray[np.bool_]:
    """Which answers are the same by the rule that devices hold golden answers to.

    Raises:
        Refused: The outputs are not what such a task gives.
    """
    before, after = reference.real(), run.real()
    told = []
    for place, tensors in enumerate(samples.tensors(reference.inputs)):
        inputs = {info.name: info.dequantize(tensors[info.name]) for info in reference.inputs}
        expected = {name: values[place] for name, values in before.items()}
        given = {name: values[place] for name, values in after.items()}
        try:
            told.append(difference(task, expected, given, inputs) == "")
        except ValueError as error:
            raise Refused(f"the outputs are not what --task {task.kind} gives: {error}") from error
    return np.asarray(told)


def _compare_scores(
    task: Task, before: Scores, after: Scores, truth: Array, run: Run
) -> Comparison:
    said_before, said = before.argmax(axis=1), after.argmax(axis=1)
    known = truth >= 0
    distances = np.abs(before - after).max(axis=1)
    return Comparison(
        runtime=run.runtime,
        distances=distances,
        invoke_ms=run.invoke_ms,
        agreement=float((said_before == said).mean()),
        float_accuracy=_share(said_before == truth, known),
        accuracy=_share(said == truth, known),
        by_label=dict(_recalls(task, said_before, said, truth)),
        worst=_worst(distances + (said_before != said)),
        confusion=_confusion(truth, said, len(task.labels)) if known.any() else None,
        float_confusion=_confusion(truth, said_before, len(task.labels)) if known.any() else None,
    )


def _recalls(
    task: Task, said_before: Array, said: Array, truth: Array
) -> list[tuple[str, ClassFigures]]:
    found = []
    for place, label in enumerate(task.labels):
        here = truth == place
        if here.any():
            before, after = said_before[here] == place, said[here] == place
            figures = ClassFigures(int(here.sum()), float(before.mean()), float(after.mean()))
            found.append((label, figures))
    return found


def _share(hit: Array, where: Array) -> float:
    return float(hit[where].mean()) if where.any() else NAN


def _worst(distances: Array) -> tuple[int, ...]:
    return tuple(int(place) for place in np.argsort(-distances, kind="stable")[:WORST])


def _confusion(truth: Array, said: Array, labels: int) -> Array:
    table = np.zeros((labels, labels), dtype=np.int64)
    known = truth >= 0
    np.add.at(table, (truth[known], said[known]), 1)
    return table


def _relative(before: Mapping[str, Array], after: Mapping[str, Array]) -> Array:
    """Mean difference within each sample, in shares of the float output's range."""
    pairs = list(zip(before.items(), after.items(), strict=False))
    if before.keys() == after.keys():
        pairs = [((name, values), (name, after[name])) for name, values in before.items()]
    per_output = []
    for (name, expected), (_, given) in pairs:
        if expected.shape != given.shape:
            raise Refused(f"output {name!r} changed its shape to {list(given.shape[1:])}")
        span = float(np.ptp(expected)) or float(np.abs(expected).max()) or 1.0
        rows = np.abs(expected - given).reshape(len(expected), -1)
        per_output.append(rows.mean(axis=1) / span)
    return np.asarray(np.max(per_output, axis=0))
