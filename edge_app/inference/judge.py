"""Prediction and a job's limits to Verdict: the only place where a part becomes OK."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from edge_app.inference.tasks import Prediction


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
class Limits:
    """What a person set for one product.

    Args:
        good: Labels that mean a good part; without any, nothing is ever OK.
        accept: OK when the good labels' scores reach this together.
        reject: NG when they stay below this; in between a person looks (REVIEW).
    """

    good: tuple[str, ...] = ()
    accept: float = 0.9
    reject: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.reject <= self.accept <= 1:
            raise ValueError(
                f"limits must satisfy 0 <= reject <= accept <= 1, "
                f"got reject {self.reject}, accept {self.accept}"
            )

    def to_json(self) -> dict[str, Any]:
        """The form kept in a model file, a job and the API."""
        return {"good": list(self.good), "accept": self.accept, "reject": self.reject}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Limits:
        """Read what `to_json` wrote.

        Raises:
            ValueError: The limits contradict each other.
        """
        return cls(tuple(map(str, entry["good"])), float(entry["accept"]), float(entry["reject"]))


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

    A score that is no number (NaN, or outside 0..1 by more than rounding) is never
    a good one, and a model that knows none of the good labels decides nothing.
    """
    if not prediction.scores:
        return no_decision(Code.MODEL_FAILED, "the model gives no scores to judge by")
    unknown = [label for label in limits.good if label not in prediction.scores]
    if unknown or not limits.good:
        missing = ", ".join(unknown) or "none is set"
        return no_decision(Code.JOB_FAILED, f"good labels the model does not know: {missing}")
    if not all(math.isfinite(s) and -0.01 <= s <= 1.01 for s in prediction.scores.values()):
        return no_decision(Code.MODEL_FAILED, "the model's scores are not numbers from 0 to 1")
    good = min(1.0, sum(prediction.scores[label] for label in limits.good))
    said = f"{prediction.label} {prediction.score:.1%}, good {good:.1%}"
    if good >= limits.accept:
        return Verdict(Decision.OK, Code.FINE, f"{said}, accepted from {limits.accept:.0%}")
    if good < limits.reject:
        return Verdict(Decision.NG, Code.FINE, f"{said}, rejected below {limits.reject:.0%}")
    return Verdict(
        Decision.REVIEW, Code.FINE, f"{said}, between {limits.reject:.0%} and {limits.accept:.0%}"
    )
