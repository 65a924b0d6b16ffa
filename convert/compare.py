"""Float against quantized on the same samples: agreement, accuracy, recall, distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.errors import Refused
from convert.proof import Run
from edge_app.inference.tasks import Activation, Task, activate
from edge_app.inference.tensor import Array

Scores = NDArray[np.float64]
"""Score of each label, [n, labels]."""


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
        samples: How many were compared.
        agreement: Share of equal top labels; NaN where the task has no labels.
        float_accuracy: Share right of the labelled ones; NaN without labels.
        accuracy: The same for this model.
        by_label: Figures of each label that has pictures.
        mean_distance: Mean difference of scores, 0..1; for outputs that are no
            scores, in shares of their range.
        max_distance: The largest of any sample.
        distances: The largest difference within each sample.
        worst: Places of the samples that differ most, the worst first.
        confusion: Rows true, columns said by this model; empty without labels.
        float_confusion: The same for the float model.
        invoke_ms: Median milliseconds of one invoke.
    """

    runtime: str
    samples: int
    agreement: float
    float_accuracy: float
    accuracy: float
    by_label: Mapping[str, ClassFigures]
    mean_distance: float
    max_distance: float
    distances: Array
    worst: tuple[int, ...]
    confusion: Array
    float_confusion: Array
    invoke_ms: float

    def to_json(self) -> dict[str, Any]:
        """The figures, as kept in the model file and the report; NaN becomes null."""
        return {
            "runtime": self.runtime,
            "samples": self.samples,
            "agreement": figure(self.agreement),
            "float_accuracy": figure(self.float_accuracy),
            "accuracy": figure(self.accuracy),
            "by_label": {
                label: {"count": f.count, "float_recall": f.float_recall, "recall": f.recall}
                for label, f in self.by_label.items()
            },
            "mean_distance": figure(self.mean_distance),
            "max_distance": figure(self.max_distance),
            "invoke_ms": round(self.invoke_ms, 3),
        }


def figure(value: float) -> float | None:
    """A number for JSON, which knows no NaN."""
    return round(float(value), 6) if np.isfinite(value) else None


def scores_of(task: Task, run: Run) -> Scores:
    """Score of each label for each sample.

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


def guess_activation(run: Run) -> Activation:
    """What still has to be applied to a classifier's outputs, judged by their values."""
    (array,) = run.real().values()
    rows = array.reshape(len(array), -1)
    if rows.min() >= -1e-3 and rows.max() <= 1 + 1e-3:
        return "none"
    return "softmax"


def compare(task: Task, reference: Run, run: Run, truth: Array) -> Comparison:
    """Hold a model's answers against the float model's.

    Args:
        task: What the outputs mean.
        reference: The float model's answers.
        run: This model's answers to the same samples.
        truth: Place of each sample's true label; -1 where it is not known.
    """
    if task.kind == "classification":
        return _compare_scores(task, scores_of(task, reference), scores_of(task, run), truth, run)
    distances = _relative(reference.real(), run.real())
    nan = float("nan")
    empty = np.zeros((0, 0), dtype=np.int64)
    return Comparison(
        runtime=run.runtime,
        samples=len(distances),
        agreement=nan,
        float_accuracy=nan,
        accuracy=nan,
        by_label={},
        mean_distance=float(distances.mean()),
        max_distance=float(distances.max()),
        distances=distances,
        worst=_worst(distances),
        confusion=empty,
        float_confusion=empty,
        invoke_ms=run.invoke_ms,
    )


def _compare_scores(
    task: Task, before: Scores, after: Scores, truth: Array, run: Run
) -> Comparison:
    said_before, said = before.argmax(axis=1), after.argmax(axis=1)
    known = truth >= 0
    by_label = {
        label: ClassFigures(
            int((truth == place).sum()),
            float((said_before[truth == place] == place).mean()),
            float((said[truth == place] == place).mean()),
        )
        for place, label in enumerate(task.labels)
        if (truth == place).any()
    }
    distances = np.abs(before - after).max(axis=1)
    return Comparison(
        runtime=run.runtime,
        samples=len(after),
        agreement=float((said_before == said).mean()),
        float_accuracy=_share(said_before == truth, known),
        accuracy=_share(said == truth, known),
        by_label=by_label,
        mean_distance=float(distances.mean()),
        max_distance=float(distances.max()),
        distances=distances,
        worst=_worst(distances + (said_before != said)),
        confusion=_confusion(truth, said, len(task.labels)),
        float_confusion=_confusion(truth, said_before, len(task.labels)),
        invoke_ms=run.invoke_ms,
    )


def _share(hit: Array, where: Array) -> float:
    return float(hit[where].mean()) if where.any() else float("nan")


def _worst(distances: Array, count: int = 12) -> tuple[int, ...]:
    return tuple(int(place) for place in np.argsort(-distances, kind="stable")[:count])


def _confusion(truth: Array, said: Array, labels: int) -> Array:
    table = np.zeros((labels, labels), dtype=np.int64)
    known = truth >= 0
    np.add.at(table, (truth[known], said[known]), 1)
    return table


def _relative(before: Mapping[str, Array], after: Mapping[str, Array]) -> Array:
    """Mean difference within each sample, in shares of the float output's range."""
    if before.keys() != after.keys():
        # Outputs keep their signature's names through every mode of one source.
        raise Refused(f"outputs {', '.join(before)} became {', '.join(after)}")
    per_output = []
    for name, expected in before.items():
        span = float(expected.max() - expected.min()) or 1.0
        rows = np.abs(expected - after[name]).reshape(len(expected), -1)
        per_output.append(rows.mean(axis=1) / span)
    return np.asarray(np.max(per_output, axis=0))
