"""Trying limits on the parts of before: the judge's own answers, nothing saved."""

from __future__ import annotations

import numpy as np
import pytest
from device import Device
from line_double import LIMITS
from window import Station

from edge_app.inference.detection import Detection
from edge_app.inference.judge import Decision, Limits
from edge_app.inference.limits import Band, CountRule
from edge_app.inference.preprocess import Roi
from edge_app.records.findings import Findings
from edge_app.records.small_map import SmallMap
from edge_app.web.preview import preview

pytestmark = pytest.mark.slow  # a real browser


def test_the_same_limits_change_nothing(station: Station) -> None:
    """What was decided with these limits is decided so again."""
    parts = [station.line.part(decision) for decision in Decision]

    found = preview(parts, Limits(good=("red",)), "classification")

    assert found["changed"] == 0
    assert found["was"] == found["would"] == {"OK": 1, "NG": 1, "REVIEW": 1, "NONE": 0}
    assert sum(found["histograms"]["score"]["bins"]) == found["parts"] == 3


def test_a_stricter_limit_tells_which_parts_it_moves(station: Station) -> None:
    """The parts whose verdict would change are named with both verdicts."""
    good = station.line.part(Decision.OK, "A-1")

    found = preview([good], Limits(good=("red",), accept=0.99, reject=0.5), "classification")

    assert found["would"]["REVIEW"] == 1
    assert [(e["id"], e["was"], e["would"]) for e in found["shown"]] == [(good.id, "OK", "REVIEW")]


def test_parts_without_a_decision_stay_out(station: Station) -> None:
    """No limit makes a verdict out of a part that was never looked at."""
    limits = Limits(good=("red",), accept=0, reject=0)

    found = preview([station.line.part(Decision.NONE)], limits, "classification")

    assert found["parts"] == 0
    assert found["histograms"] == {}


def test_without_good_labels_nothing_is_tried(station: Station) -> None:
    """Limits of another task are not held against scores that are not theirs."""
    found = preview([station.line.part(Decision.OK)], Limits(), "classification")

    assert found["parts"] == found["changed"] == 0


def test_the_preview_is_asked_over_http(station: Station) -> None:
    """The page sends a job and limits and gets counts."""
    station.line.part(Decision.OK)
    body = {"job": 1, "limits": LIMITS | {"accept": 0.98}}

    found = station.device.client.post("/page/preview", json=body).json

    assert (found["parts"], found["changed"]) == (1, 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"job": 1},
        {"job": "x", "limits": LIMITS},
        {"job": 1, "limits": {"good": ["red"], "accept": 0.2, "reject": 0.8}},
        {"job": 1, "limits": ["red"]},
        {"job": 1, "limits": LIMITS, "task": "guess"},
    ],
)
def test_limits_that_contradict_are_refused(
    tmp_path_factory: pytest.TempPathFactory, body: object
) -> None:
    """Nonsense is a sentence, not a crash."""
    device = Device(tmp_path_factory.mktemp("device"))

    reply = device.client.post("/page/preview", json=body)

    assert reply.status_code == 400
    assert reply.json["error"]["code"] == "bad_limits"


BOXES = tuple(Detection("hole", score, 0.0, 0.0, 10.0, 10.0) for score in (0.95, 0.9, 0.55))
"""Two holes for certain, and one that may be."""


def test_boxes_are_counted_anew(station: Station) -> None:
    """Another number of things, or another score that makes one certain, moves the verdict."""
    part = station.line.part(
        Decision.REVIEW, scores={"hole": 0.95}, findings=Findings(detections=BOXES)
    )
    rule = CountRule("hole", least=2, most=2)
    same = preview([part], Limits(counts=(rule,), accept=0.9, reject=0.5), "detection")
    stricter = preview([part], Limits(counts=(rule,), accept=0.9, reject=0.6), "detection")
    fewer = preview(
        [part], Limits(counts=(CountRule("hole"),), accept=0.9, reject=0.6), "detection"
    )

    assert (same["changed"], same["would"]["REVIEW"]) == (0, 1)
    assert stricter["would"]["OK"] == 1
    assert fewer["would"]["NG"] == 1
    assert sum(same["histograms"]["score"]["bins"]) == 3
    assert same["histograms"]["count/hole"]["bins"] == [0, 0, 1, 0]


def test_small_boxes_do_not_count(station: Station) -> None:
    """A rule's area holds in the preview as on the line."""
    part = station.line.part(
        Decision.OK, scores={"hole": 0.95}, findings=Findings(detections=BOXES)
    )
    rule = CountRule("hole", least=0, most=0, smallest_px2=200.0)

    found = preview([part], Limits(counts=(rule,)), "detection")

    assert (found["would"]["OK"], found["changed"]) == (1, 0)


def test_an_anomaly_is_held_against_a_new_limit(station: Station) -> None:
    """The recorded number is judged anew, and its scale is the parts' own."""
    parts = [
        station.line.part(Decision.OK, scores={}, findings=Findings(anomaly=value))
        for value in (0.01, 0.02, 0.05)
    ]

    found = preview(parts, Limits(anomaly=Band(accept=0.015, reject=0.04)), "anomaly")

    assert found["would"] == {"OK": 1, "REVIEW": 1, "NG": 1, "NONE": 0}
    assert found["histograms"]["anomaly"]["to"] == pytest.approx(0.055)
    assert sum(found["histograms"]["anomaly"]["bins"]) == 3


def test_a_map_s_area_is_measured_on_the_kept_map(station: Station) -> None:
    """How much of the map reaches a value is counted in its cells, and said to be an estimate."""
    heat = np.zeros((10, 10), np.float32)
    heat[:2] = 1.0
    kept = SmallMap.of_anomaly(heat, Roi(0, 0, 100, 100))
    part = station.line.part(Decision.OK, scores={}, findings=Findings(anomaly=1.0, heat=kept))
    limits = Limits(area=Band(accept=0.1, reject=0.15), pixel=0.5)

    found = preview([part], limits, "anomaly")

    assert found["would"]["NG"] == 1
    assert found["estimated"]


def test_areas_of_labels_are_tried(station: Station) -> None:
    """A segmentation's shares are recorded as scores and judged anew."""
    part = station.line.part(Decision.OK, scores={"ground": 0.97, "rust": 0.03})

    found = preview([part], Limits(areas={"rust": Band(accept=0.01, reject=0.02)}), "segmentation")

    assert found["would"]["NG"] == 1


def test_without_a_rule_the_device_says_what_is_missing(station: Station) -> None:
    """Nothing is tried, and the reason is the judge's own."""
    part = station.line.part(Decision.OK, scores={"hole": 0.95})

    found = preview([part], Limits(), "detection")

    assert found["parts"] == 0
    assert "counts" in found["reason"]
