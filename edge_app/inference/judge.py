"""Prediction and a job's limits to Verdict: the only place where a part becomes OK."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np

from edge_app.inference.limits import Band, CountRule, Limits
from edge_app.inference.scores import array_of, within
from edge_app.inference.tasks import Prediction

__all__ = ["Code", "Decision", "Limits", "Verdict", "judge", "no_decision"]


class Decision(StrEnum):
    """What the line is told. Everything but OK is a reject."""

    OK = "OK"
    NG = "NG"
    REVIEW = "REVIEW"
    NONE = "NONE"


class Code(IntEnum):
    """Why there is no decision, or what to be warned of: the PLC contract's numbers."""

    FINE = 0
    STARTING = 10
    OFFLINE = 11
    JOB_LOADING = 12
    BUSY = 20
    NOT_ENABLED = 21
    NUMBER_REUSED = 22
    DEADLINE = 23
    NO_FRAME = 30
    BAD_IMAGE = 31
    STALE_FRAME = 32
    MODEL_FAILED = 40
    UNKNOWN_JOB = 41
    JOB_FAILED = 42
    STORAGE = 50
    HOT = 51
    CLOCK = 52
    PLC_WATCHDOG = 60
    BAD_PARAMETER = 70
    INTERNAL = 99


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one part. Made without arguments it is NONE, as every path begins."""

    decision: Decision = Decision.NONE
    code: Code = Code.INTERNAL
    reason: str = "not inspected"


def no_decision(code: Code, reason: str) -> Verdict:
    """A verdict that says why there is none."""
    return Verdict(Decision.NONE, code, reason)


def judge(prediction: Prediction, limits: Limits) -> Verdict:
    """Hold a prediction against the limits.

    Every rule that is set has its say and the worst one decides. A number that is none
    (NaN, or a score outside 0..1 by more than rounding) is never a good one, limits for
    labels that the model does not know decide nothing, and neither does a job without
    any rule for what the model gives.
    """
    refusal = _refusal(prediction, limits)
    if refusal is not None:
        return refusal
    findings = _RULES[prediction.kind](prediction, limits)
    if not findings:
        needed = _NEEDED[prediction.kind]
        return no_decision(Code.JOB_FAILED, f"the job sets no {needed} to judge by")
    decision = max((finding.decision for finding in findings), key=SEVERITY.index)
    told = "; ".join([f.said for f in findings if f.decision is decision][:3])
    if decision is Decision.NONE:
        return no_decision(Code.MODEL_FAILED, told)
    return Verdict(decision, Code.FINE, told)


def _refusal(prediction: Prediction, limits: Limits) -> Verdict | None:
    """Why there is nothing to judge, if so."""
    if not prediction.sound:
        return no_decision(Code.MODEL_FAILED, "the model gave numbers that are none")
    if prediction.kind not in _RULES:
        return no_decision(Code.MODEL_FAILED, "the model gives nothing to judge by")
    if not within(array_of(prediction.scores), -0.01, 1.01):
        return no_decision(Code.MODEL_FAILED, "the model's scores are not numbers from 0 to 1")
    unknown = [label for label in limits.labels if label not in prediction.scores]
    if unknown:
        missing = ", ".join(unknown)
        return no_decision(Code.JOB_FAILED, f"labels the model does not know: {missing}")
    return None


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one rule says; made without a decision it decides nothing."""

    said: str
    decision: Decision = Decision.NONE


SEVERITY = (Decision.OK, Decision.REVIEW, Decision.NG, Decision.NONE)
"""From what passes a part to what says nothing of it: of several, the worst decides."""


def _classified(prediction: Prediction, limits: Limits) -> list[_Finding]:
    if not limits.good:
        return []
    scores = prediction.scores
    likeliest = max(limits.good, key=lambda label: scores[label])
    good = min(1.0, sum(scores[label] for label in limits.good))
    said = f"{prediction.label} {prediction.score:.1%}"
    if limits.good != (prediction.label,):
        said += f", good {good:.1%}"
    findings = [_high(said, good, limits.band(likeliest))]
    findings += [
        _low(f"{label} {scores[label]:.1%}", scores[label], band)
        for label, band in limits.classes.items()
        if label not in limits.good
    ]
    return findings


def _detected(prediction: Prediction, limits: Limits) -> list[_Finding]:
    return [_counted(prediction, rule, limits.band(rule.label)) for rule in limits.counts]


def _counted(prediction: Prediction, rule: CountRule, band: Band) -> _Finding:
    found = [
        detection.score
        for detection in prediction.detections
        if detection.label == rule.label
        and rule.smallest_px2 <= detection.area_px2 <= rule.largest_px2
    ]
    certain = sum(score >= band.accept for score in found)
    possible = sum(score >= band.reject for score in found)
    number = f"{certain}" if certain == possible else f"{certain} to {possible}"
    wanted = f"{rule.least}" if rule.least == rule.most else f"{rule.least} to {rule.most}"
    said = f"{number} {rule.label}, expected {wanted}"
    if rule.least <= certain and possible <= rule.most:
        return _Finding(said, Decision.OK)
    if possible < rule.least or certain > rule.most:
        return _Finding(said, Decision.NG)
    return _Finding(said, Decision.REVIEW)


def _segmented(prediction: Prediction, limits: Limits) -> list[_Finding]:
    return [
        _low(f"{label} covers {prediction.scores[label]:.2%}", prediction.scores[label], band)
        for label, band in limits.areas.items()
    ]


def _anomalous(prediction: Prediction, limits: Limits) -> list[_Finding]:
    findings = []
    if limits.anomaly is not None:
        said = f"anomaly {prediction.anomaly:.4g}"
        findings.append(_low(said, prediction.anomaly, limits.anomaly))
    if limits.area is not None and limits.pixel is not None:
        if prediction.heat is None or not np.isfinite(prediction.heat).all():
            findings.append(_Finding("the model gives no map to measure an area on"))
        else:
            share = float(np.mean(prediction.heat >= limits.pixel))
            said = f"{share:.2%} of the picture reaches {limits.pixel:g}"
            findings.append(_low(said, share, limits.area))
    return findings


def _high(said: str, value: float, band: Band) -> _Finding:
    if not math.isfinite(value):
        return _Finding(f"{said} is no number")
    if value >= band.accept:
        return _Finding(f"{said}, accepted from {band.accept:.0%}", Decision.OK)
    if value < band.reject:
        return _Finding(f"{said}, rejected below {band.reject:.0%}", Decision.NG)
    return _Finding(f"{said}, between {band.reject:.0%} and {band.accept:.0%}", Decision.REVIEW)


def _low(said: str, value: float, band: Band) -> _Finding:
    if not math.isfinite(value):
        return _Finding(f"{said} is no number")
    if value <= band.accept:
        return _Finding(f"{said}, accepted up to {band.accept:g}", Decision.OK)
    if value >= band.reject:
        return _Finding(f"{said}, rejected from {band.reject:g}", Decision.NG)
    return _Finding(f"{said}, between {band.accept:g} and {band.reject:g}", Decision.REVIEW)


_RULES: dict[str, Callable[[Prediction, Limits], list[_Finding]]] = {
    "classification": _classified,
    "detection": _detected,
    "segmentation": _segmented,
    "anomaly": _anomalous,
    "autoencoder": _anomalous,
}

_NEEDED = {
    "classification": "good labels",
    "detection": "counts",
    "segmentation": "areas",
    "anomaly": "anomaly or area limit",
    "autoencoder": "anomaly or area limit",
}
