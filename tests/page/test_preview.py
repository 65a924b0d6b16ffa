"""Trying limits on the parts of before: the judge's own answers, nothing saved."""

from __future__ import annotations

import pytest
from device import Device
from line_double import LIMITS
from window import Station

from edge_app.inference.judge import Decision, Limits
from edge_app.web.preview import BINS, preview

pytestmark = pytest.mark.slow  # a real browser


def test_the_same_limits_change_nothing(station: Station) -> None:
    """What was decided with these limits is decided so again."""
    parts = [station.line.part(decision) for decision in Decision]

    found = preview(parts, Limits(good=("red",)))

    assert found["changed"] == 0
    assert found["was"] == found["would"] == {"OK": 1, "NG": 1, "REVIEW": 1, "NONE": 0}
    assert sum(found["histogram"]) == found["parts"] == 3


def test_a_stricter_limit_tells_which_parts_it_moves(station: Station) -> None:
    """The parts whose verdict would change are named with both verdicts."""
    good = station.line.part(Decision.OK, "A-1")

    found = preview([good], Limits(good=("red",), accept=0.99, reject=0.5))

    assert found["would"]["REVIEW"] == 1
    assert [(e["id"], e["was"], e["would"]) for e in found["shown"]] == [(good.id, "OK", "REVIEW")]


def test_parts_without_a_decision_stay_out(station: Station) -> None:
    """No limit makes a verdict out of a part that was never looked at."""
    found = preview([station.line.part(Decision.NONE)], Limits(good=("red",), accept=0, reject=0))

    assert found["parts"] == 0
    assert found["histogram"] == [0] * BINS


def test_without_good_labels_nothing_is_tried(station: Station) -> None:
    """Limits of another task are not held against scores that are not theirs."""
    found = preview([station.line.part(Decision.OK)], Limits())

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
