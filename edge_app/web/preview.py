"""What other limits would have decided for the last parts, told by the judge itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_app.inference.judge import Decision, Limits, judge
from edge_app.inference.tasks import Prediction, TaskKind
from edge_app.records.findings import TOP_SCORES
from edge_app.records.inspection import Inspection
from edge_app.records.small_map import LEVELS, SmallMap

BINS = 50
SHOWN = 40
"""Parts with another verdict that are named, newest first."""

MOST_COUNTED = 12
"""More things of a label in one picture share the last bar."""


def preview(inspections: Iterable[Inspection], limits: Limits, kind: TaskKind) -> dict[str, Any]:
    """Judge recorded scores, boxes and maps anew.

    Parts without any decision stay what they are, and so do those of which the record
    does not hold what these limits look at.

    Args:
        inspections: Newest first.
        limits: The ones that are being tried.
        kind: The task of the job's model.

    Returns:
        How many parts, how they were decided and how they would be (`was`, `would`), how
        many parts gave which value (`histograms`, one for each rule), the parts whose verdict
        would change, and the `reason` if some of them these limits can't decide.
    """
    trial = _Trial(limits, kind)
    for inspection in inspections:
        if inspection.decision is not Decision.NONE:
            trial.take(inspection)
    return trial.to_json()


@dataclass(slots=True)
class _Trial:
    limits: Limits
    kind: TaskKind
    was: Counter[str] = field(default_factory=Counter)
    would: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[float]] = field(default_factory=dict)
    changed: list[dict[str, Any]] = field(default_factory=list)
    estimated: bool = False
    reason: str = ""

    def take(self, inspection: Inspection) -> None:
        prediction = _prediction(inspection, self.limits, self.kind)
        verdict = judge(prediction, self.limits)
        decision = verdict.decision
        if decision is Decision.NONE:
            self.reason = verdict.reason
            return
        self.was[inspection.decision] += 1
        self.would[decision] += 1
        if self.limits.area is not None and prediction.heat is not None:
            self.estimated = True
        for name, found in _values(prediction, self.limits).items():
            self.values.setdefault(name, []).extend(found)
        if decision is not inspection.decision:
            self.changed.append(_changed(inspection, decision))

    def to_json(self) -> dict[str, Any]:
        return {
            "parts": self.was.total(),
            "was": {str(decision): self.was[decision] for decision in Decision},
            "would": {str(decision): self.would[decision] for decision in Decision},
            "histograms": {name: _histogram(name, v) for name, v in self.values.items()},
            "estimated": self.estimated,
            "reason": self.reason,
            "changed": len(self.changed),
            "shown": self.changed[:SHOWN],
        }


def _prediction(inspection: Inspection, limits: Limits, kind: TaskKind) -> Prediction:
    findings = inspection.findings
    return Prediction(
        label=inspection.label,
        label_index=inspection.label_index,
        score=inspection.score,
        scores=_scores(inspection, limits),
        kind=kind,
        detections=findings.detections,
        anomaly=math.nan if findings.anomaly is None else findings.anomaly,
        heat=_values_of(findings.heat) if findings.heat is not None else None,
    )


def _scores(inspection: Inspection, limits: Limits) -> Mapping[str, float]:
    """The recorded ones. Of many labels only the likeliest are kept: others had next to none."""
    if len(inspection.scores) < TOP_SCORES:
        return inspection.scores
    return dict.fromkeys(limits.labels, 0.0) | dict(inspection.scores)


def _values_of(heat: SmallMap) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The kept map in the model's own values; a cell has the highest that was in it."""
    grid = heat.grid.astype(np.float32)
    return grid if heat.labels else heat.low + grid * np.float32((heat.high - heat.low) / LEVELS)


def _values(prediction: Prediction, limits: Limits) -> dict[str, Sequence[float]]:
    """What each rule looks at in one part, by the name of the rule."""
    found: dict[str, Sequence[float]] = {}
    scores = prediction.scores
    if prediction.kind == "classification":
        found["score"] = [min(1.0, max(0.0, sum(scores.get(name, 0.0) for name in limits.good)))]
    for rule in limits.counts:
        fits = [
            one.score
            for one in prediction.detections
            if one.label == rule.label and rule.smallest_px2 <= one.area_px2 <= rule.largest_px2
        ]
        accept = limits.band(rule.label).accept
        found["score"] = [*found.get("score", ()), *fits]
        found[f"count/{rule.label}"] = [sum(score >= accept for score in fits)]
    for label in limits.areas:
        found[f"area/{label}"] = [scores.get(label, 0.0)]
    if limits.anomaly is not None and math.isfinite(prediction.anomaly):
        found["anomaly"] = [prediction.anomaly]
    if limits.pixel is not None and prediction.heat is not None:
        found["area"] = [float(np.mean(prediction.heat >= limits.pixel))]
    return found


def _histogram(name: str, values: Sequence[float]) -> dict[str, Any]:
    """How many parts gave which value, in equal steps between `from` and `to`."""
    if name.startswith("count/"):
        most = min(MOST_COUNTED, int(max(values, default=0.0)) + 1)
        bins = np.bincount(np.minimum(np.asarray(values, np.intp), most), minlength=most + 1)
        return {"from": 0.0, "to": most + 1.0, "bins": bins.tolist()}
    low, high = 0.0, 1.0
    if name != "score":
        # Areas are often far below a whole picture, anomalies have any scale.
        low, high = min(0.0, *values), max(values) * 1.1 or 1.0
    bins, _ = np.histogram(values, BINS, (low, high))
    return {"from": low, "to": float(high), "bins": bins.tolist()}


def _changed(inspection: Inspection, would: Decision) -> dict[str, Any]:
    return {
        "id": inspection.id,
        "was": str(inspection.decision),
        "would": str(would),
        "image": bool(inspection.image),
        "part": inspection.part,
    }
