"""What a model must reach before it may be written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from convert.compare import Comparison

MIN_AGREEMENT_LABELLED, MIN_AGREEMENT = 0.90, 0.95
"""With labels the accuracy speaks for itself; without, agreement is all there is."""


ROUNDING = 1e-9
"""Shares of counts are compared: a drop of exactly the limit is within it."""


@dataclass(frozen=True, slots=True)
class Gates:
    """Limits on what quantization may cost.

    Args:
        min_agreement: Least share of equal answers; None for the default of the case.
        max_accuracy_drop: Largest loss of accuracy, 0..1. One picture is always forgiven.
        max_recall_drop: Largest loss of any defect's recall. Nothing is forgiven here: a
            defect that is no longer seen is what the line is there for.
        min_recall: Least recall by label.
        max_distance: For outputs that are no classes: largest mean difference, in
            shares of the float output's range.
    """

    min_agreement: float | None = None
    max_accuracy_drop: float = 0.01
    max_recall_drop: float = 0.01
    min_recall: Mapping[str, float] = field(default_factory=dict)
    max_distance: float = 0.05

    def to_json(self) -> dict[str, Any]:
        """As kept in the model file and the report."""
        return asdict(self) | {"min_recall": dict(self.min_recall)}

    def failures(self, figures: Comparison, defects: tuple[str, ...]) -> list[str]:
        """Why a model may not be written, in sentences; empty if it may.

        Args:
            figures: Its comparison with the float model in one runtime.
            defects: Labels that are not of good parts; empty where no good ones are named.
        """
        where = f" in {figures.runtime}"
        if not math.isfinite(figures.max_distance):
            return [f"its answers are not all numbers{where}"]
        found = [*self._agreement(figures), *self._accuracy(figures)]
        found += [s for label in figures.by_label for s in self._recall(figures, label, defects)]
        return [sentence + where for sentence in found]

    def _agreement(self, figures: Comparison) -> list[str]:
        if math.isnan(figures.agreement):
            if figures.mean_distance <= self.max_distance:
                return []
            said = (
                f"outputs differ by {figures.mean_distance:.1%} of their range, "
                f"at most {self.max_distance:.1%} may"
            )
            return [said]
        usual = MIN_AGREEMENT if math.isnan(figures.accuracy) else MIN_AGREEMENT_LABELLED
        least = usual if self.min_agreement is None else self.min_agreement
        if figures.agreement >= least:
            return []
        return [f"agreement {figures.agreement:.1%} is below {least:.1%}"]

    def _accuracy(self, figures: Comparison) -> list[str]:
        if math.isnan(figures.accuracy):
            return []
        count = sum(entry.count for entry in figures.by_label.values())
        drop = figures.float_accuracy - figures.accuracy
        if not _too_much(drop, self.max_accuracy_drop, count):
            return []
        said = (
            f"accuracy falls by {drop * 100:.1f} points, "
            f"at most {self.max_accuracy_drop * 100:.1f} may"
        )
        return [said]

    def _recall(self, figures: Comparison, label: str, defects: tuple[str, ...]) -> list[str]:
        entry = figures.by_label[label]
        least = self.min_recall.get(label, 0.0)
        if entry.recall < least:
            return [f"recall of {label!r} is {entry.recall:.1%}, at least {least:.1%} is asked"]
        drop = entry.float_recall - entry.recall
        if label in defects and drop > self.max_recall_drop + ROUNDING:
            said = (
                f"recall of {label!r} falls by {drop * 100:.1f} points, "
                f"at most {self.max_recall_drop * 100:.1f} may"
            )
            return [said]
        return []


def _too_much(drop: float, allowed: float, count: int) -> bool:
    # One picture of few is a large share and no evidence.
    return drop > max(allowed, 1 / max(1, count)) + ROUNDING
