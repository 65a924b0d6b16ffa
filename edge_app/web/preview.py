"""What other limits would have decided for the last parts, told by the judge itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from edge_app.inference.judge import Decision, Limits, judge
from edge_app.inference.tasks import Prediction
from edge_app.records.findings import TOP_SCORES
from edge_app.records.inspection import Inspection

BINS = 50
SHOWN = 40
"""Parts with another verdict that are named, newest first."""


def preview(inspections: Iterable[Inspection], limits: Limits) -> dict[str, Any]:
    """Judge recorded scores anew.

    Only a classification can be, by its good labels: what else a model found is not in
    the record. Parts without any decision stay what they are.

    Args:
        inspections: Newest first.
        limits: The ones that are being tried.

    Returns:
        How many parts, how they were decided and how they would be (`was`, `would`),
        the histogram of the good labels' score in `BINS` steps from 0 to 1, and the
        parts whose verdict would change.
    """
    if not limits.good:
        inspections = ()
    was: Counter[str] = Counter()
    would: Counter[str] = Counter()
    bins = [0] * BINS
    changed = []
    for inspection in inspections:
        if inspection.decision is Decision.NONE or not inspection.scores:
            continue
        decision = _anew(inspection, limits)
        good = _good(inspection, limits)
        was[inspection.decision] += 1
        would[decision] += 1
        bins[min(BINS - 1, int(good * BINS))] += 1
        if decision is not inspection.decision:
            changed.append(_changed(inspection, decision, good))
    return {
        "parts": was.total(),
        "was": {str(decision): was[decision] for decision in Decision},
        "would": {str(decision): would[decision] for decision in Decision},
        "histogram": bins,
        "changed": len(changed),
        "shown": changed[:SHOWN],
    }


def _anew(inspection: Inspection, limits: Limits) -> Decision:
    prediction = Prediction(
        label=inspection.label,
        label_index=inspection.label_index,
        score=inspection.score,
        scores=_scores(inspection, limits),
    )
    return judge(prediction, limits).decision


def _scores(inspection: Inspection, limits: Limits) -> Mapping[str, float]:
    """The recorded ones. Of many labels only the likeliest are kept; the others' are near 0."""
    if len(inspection.scores) < TOP_SCORES:
        return inspection.scores
    return dict.fromkeys(limits.labels, 0.0) | dict(inspection.scores)


def _good(inspection: Inspection, limits: Limits) -> float:
    return max(0.0, min(1.0, sum(inspection.scores.get(label, 0.0) for label in limits.good)))


def _changed(inspection: Inspection, would: Decision, good: float) -> dict[str, Any]:
    return {
        "id": inspection.id,
        "was": str(inspection.decision),
        "would": str(would),
        "good": round(good, 4),
        "image": bool(inspection.image),
        "part": inspection.part,
    }
