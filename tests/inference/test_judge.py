"""Predictions and limits to verdicts: nothing is OK that should not be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.inference.detection import Detection
from edge_app.inference.judge import Code, Decision, Limits, Verdict, judge, no_decision
from edge_app.inference.limits import Band, CountRule
from edge_app.inference.tasks import Prediction

NONSENSE = (math.nan, math.inf, -math.inf, 1.5, -0.2)


def classified(**scores: float) -> Prediction:
    """What a classifier said."""
    label = max(scores, key=lambda name: scores[name])
    place = list(scores).index(label)
    return Prediction(label=label, label_index=place, score=scores[label], scores=scores)


def detected(*found: tuple[str, float], side: float = 10) -> Prediction:
    """What a detector for caps and scratches found, in boxes of `side` pixels."""
    boxes = tuple(Detection(label, score, 0, 0, side, side) for label, score in found)
    scores = {"cap": 0.0, "scratch": 0.0}
    for box in boxes:
        scores[box.label] = max(scores[box.label], box.score)
    return Prediction(kind="detection", detections=boxes, scores=scores)


def test_a_verdict_is_none_until_something_decides() -> None:
    """Made without arguments it is NONE with a reason."""
    assert Verdict().decision is Decision.NONE
    assert Verdict().code is not Code.FINE
    assert no_decision(Code.BUSY, "busy").decision is Decision.NONE


@pytest.mark.parametrize(
    ("good", "decision"),
    [(0.95, "OK"), (0.9, "OK"), (0.89, "REVIEW"), (0.5, "REVIEW"), (0.49, "NG"), (0.0, "NG")],
)
def test_a_classification_is_held_against_both_limits(good: float, decision: str) -> None:
    """OK from `accept`, NG below `reject`, a person looks in between."""
    verdict = judge(classified(good=good, bad=1 - good), Limits(("good",)))

    assert verdict.decision == decision
    assert verdict.code is Code.FINE
    assert f"{good:.1%}" in verdict.reason


def test_good_labels_count_together() -> None:
    """Two kinds of good part share the score, and the reason has both it and the likeliest."""
    verdict = judge(classified(red=0.5, blue=0.45, bad=0.05), Limits(("red", "blue")))

    assert verdict.decision is Decision.OK
    assert verdict.reason == "red 50.0%, good 95.0%, accepted from 90%"


def test_a_score_is_said_once() -> None:
    """The only good label's score is the part's; any other label has the good one's beside it."""
    told = [judge(classified(red=r, blue=1 - r), Limits(("red",))).reason for r in (0.93, 0.02)]

    assert told == ["red 93.0%, accepted from 90%", "blue 98.0%, good 2.0%, rejected below 50%"]


@given(
    st.dictionaries(st.sampled_from("abcd"), st.floats(0, 1), min_size=2),
    st.sampled_from(NONSENSE),
    st.data(),
)
def test_a_score_that_is_none_never_makes_a_good_part(
    scores: dict[str, float], nonsense: float, data: st.DataObject
) -> None:
    """Whichever label has it, and whatever the others say."""
    labels = sorted(scores)
    scores[data.draw(st.sampled_from(labels))] = nonsense

    verdict = judge(classified(**scores), Limits((labels[0],), 0.0, 0.0))

    assert verdict.decision is Decision.NONE
    assert verdict.code is Code.MODEL_FAILED


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_better_part_is_never_judged_worse(one: float, other: float, limit: float) -> None:
    """The verdict follows the score."""
    order = [Decision.NG, Decision.REVIEW, Decision.OK]
    low, high = sorted((one, other))
    limits = Limits(("good",), max(limit, 0.5), min(limit, 0.5))

    worse = judge(classified(good=low, bad=1 - low), limits).decision
    better = judge(classified(good=high, bad=1 - high), limits).decision

    assert order.index(worse) <= order.index(better)


def test_a_model_that_does_not_know_the_good_label_decides_nothing() -> None:
    """A job and a model that don't belong together are found out at once."""
    verdict = judge(classified(a=1.0, b=0.0), Limits(("good",)))

    assert verdict.decision is Decision.NONE
    assert verdict.code is Code.JOB_FAILED
    assert "good" in verdict.reason


@pytest.mark.parametrize(
    "prediction",
    [
        classified(a=1.0, b=0.0),
        detected(),
        Prediction(kind="segmentation", scores={"scratch": 0.0}),
        Prediction(kind="anomaly", anomaly=0.0),
        Prediction(kind="autoencoder", anomaly=0.0),
    ],
)
def test_without_a_rule_nothing_is_ever_ok(prediction: Prediction) -> None:
    """A job that sets nothing for what the model gives decides nothing."""
    verdict = judge(prediction, Limits())

    assert verdict.decision is Decision.NONE
    assert verdict.code is Code.JOB_FAILED


@pytest.mark.parametrize("kind", ["raw", "detection", "anomaly", "classification"])
def test_an_unsound_prediction_decides_nothing(kind: str) -> None:
    """A detector that broke finds no scratch: that must not look like a good part."""
    limits = Limits(counts=(CountRule("scratch"),), anomaly=Band(1, 2))
    prediction = Prediction(
        kind=kind,  # type: ignore[arg-type]  # parametrized
        scores={"scratch": 0.0},
        anomaly=0.0,
        sound=False,
    )

    assert judge(prediction, limits).decision is Decision.NONE


def test_raw_outputs_are_never_judged() -> None:
    """Nobody said what they mean."""
    assert judge(Prediction(kind="raw"), Limits(("a",))).code is Code.MODEL_FAILED


@pytest.mark.parametrize(
    ("scratch", "decision"), [(0.05, "OK"), (0.1, "OK"), (0.2, "REVIEW"), (0.3, "NG")]
)
def test_a_defect_has_limits_of_its_own(scratch: float, decision: str) -> None:
    """A part may be good by its sum and rejected for one defect all the same."""
    limits = Limits(("good",), 0.6, 0.4, classes={"scratch": Band(0.1, 0.3)})

    verdict = judge(classified(good=1 - scratch, scratch=scratch), limits)

    assert verdict.decision == decision


def test_a_good_label_has_limits_of_its_own() -> None:
    """They take the place of the general ones where it is the likeliest."""
    limits = Limits(("red", "blue"), 0.9, 0.5, classes={"blue": Band(0.6, 0.3)})

    assert judge(classified(red=0.7, blue=0.0, bad=0.3), limits).decision is Decision.REVIEW
    assert judge(classified(red=0.0, blue=0.7, bad=0.3), limits).decision is Decision.OK


@pytest.mark.parametrize(
    ("found", "decision"),
    [
        ([("cap", 0.95)], "OK"),
        ([], "NG"),
        ([("cap", 0.95), ("cap", 0.92)], "NG"),
        ([("cap", 0.95), ("cap", 0.3)], "OK"),
        ([("cap", 0.95), ("cap", 0.7)], "REVIEW"),
        ([("cap", 0.7)], "REVIEW"),
        ([("cap", 0.95), ("scratch", 0.95)], "NG"),
        ([("cap", 0.95), ("scratch", 0.6)], "REVIEW"),
        ([("cap", 0.95), ("scratch", 0.4)], "OK"),
    ],
)
def test_things_are_counted(found: list[tuple[str, float]], decision: str) -> None:
    """One cap and no scratch; those that may be there or not are looked at by a person."""
    limits = Limits(counts=(CountRule("cap", 1, 1), CountRule("scratch")))

    assert judge(detected(*found), limits).decision == decision


@pytest.mark.parametrize(("side", "decision"), [(9, "OK"), (10, "NG"), (20, "NG"), (21, "OK")])
def test_only_things_of_a_size_are_counted(side: float, decision: str) -> None:
    """A speck is no scratch, and neither is the whole part."""
    limits = Limits(counts=(CountRule("scratch", 0, 0, 100, 400),))

    assert judge(detected(("scratch", 0.99), side=side), limits).decision == decision


@pytest.mark.parametrize(("share", "decision"), [(0.01, "OK"), (0.015, "REVIEW"), (0.02, "NG")])
def test_a_label_may_cover_so_much(share: float, decision: str) -> None:
    """Segmentation is judged by area."""
    prediction = Prediction(kind="segmentation", scores={"scratch": share, "part": 1 - share})

    assert judge(prediction, Limits(areas={"scratch": Band(0.01, 0.02)})).decision == decision


@pytest.mark.parametrize(
    ("score", "decision"),
    [(1.0, "OK"), (1.5, "REVIEW"), (2.0, "NG"), (math.nan, "NONE"), (-math.inf, "NONE")],
)
def test_an_anomaly_is_held_against_its_limits(score: float, decision: str) -> None:
    """More is worse, and a number that is none decides nothing."""
    prediction = Prediction(kind="autoencoder", anomaly=score)

    assert judge(prediction, Limits(anomaly=Band(1.0, 2.0))).decision == decision


def test_the_area_of_an_anomaly_is_measured_on_its_map() -> None:
    """The worst rule decides, and a model without a map can't be judged by area."""
    heat = np.zeros((10, 10), np.float32)
    heat[:2] = 0.9
    limits = Limits(anomaly=Band(1.0, 2.0), area=Band(0.1, 0.2), pixel=0.5)

    assert judge(Prediction(kind="anomaly", anomaly=0.9, heat=heat), limits).decision == "NG"
    assert judge(Prediction(kind="anomaly", anomaly=0.9, heat=heat * 0), limits).decision == "OK"
    assert judge(Prediction(kind="anomaly", anomaly=0.9), limits).decision == "NONE"
    heat[0, 0] = np.nan
    assert judge(Prediction(kind="anomaly", anomaly=0.9, heat=heat), limits).decision == "NONE"


@pytest.mark.parametrize(
    "wrong",
    [
        {"accept": 0.4, "reject": 0.5},
        {"accept": 1.1},
        {"accept": math.nan},
        {"classes": {"bad": Band(0.3, 0.1)}},
        {"good": ("g",), "classes": {"g": Band(0.1, 0.3)}},
        {"areas": {"bad": Band(0.3, 0.1)}},
        {"anomaly": Band(3, 1)},
        {"pixel": 0.5},
        {"area": Band(0.1, 0.2)},
    ],
)
def test_limits_that_contradict_each_other_are_refused(wrong: dict[str, object]) -> None:
    """Where they are made, not on the line."""
    with pytest.raises(ValueError, match=r"must satisfy|belong together"):
        Limits(**wrong)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(
    "wrong", [{"least": 2, "most": 1}, {"least": -1}, {"smallest_px2": 9, "largest_px2": 4}]
)
def test_counts_that_no_part_can_meet_are_refused(wrong: dict[str, int]) -> None:
    """A rule that rejects everything is a mistake."""
    with pytest.raises(ValueError, match="must satisfy"):
        CountRule("cap", **wrong)


def test_limits_are_read_as_they_were_written() -> None:
    """And what nobody knows is refused, for it may be a limit that was meant to hold."""
    limits = Limits(("good",), 0.8, 0.3, counts=(CountRule("cap", 1, 3),), anomaly=Band(1, 2))

    assert Limits.from_json(limits.to_json()) == limits
    assert Limits().to_json() == {"good": [], "accept": 0.9, "reject": 0.5}
    with pytest.raises(ValueError, match="don't know acept"):
        Limits.from_json(limits.to_json() | {"acept": 0.99})
