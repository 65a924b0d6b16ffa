"""Deadlines and stopwatches."""

from __future__ import annotations

import time

import pytest

from edge_app.inference.budget import Deadline, Stopwatch, TooLate


def test_a_deadline_counts_from_when_the_work_arrived() -> None:
    """Time spent before the object was made is part of the budget."""
    deadline = Deadline.start(200, started_at=time.monotonic() - 0.15)

    assert 0 < deadline.left_ms() <= 50
    assert deadline.used_ms() >= 150
    assert not deadline.passed()


def test_nothing_is_left_of_a_deadline_that_passed() -> None:
    """What is left is never negative, so that it is fit for any timeout."""
    deadline = Deadline.start(10, started_at=time.monotonic() - 1)

    assert deadline.passed()
    assert deadline.left_s() == 0
    with pytest.raises(TooLate, match="deadline of 10 ms passed before the model began"):
        deadline.check("the model began")


def test_a_check_in_time_says_nothing() -> None:
    """Only a passed deadline raises."""
    Deadline.start(10_000).check("anything")


def test_laps_add_up_to_the_whole() -> None:
    """Every moment between the first lap and the last belongs to one stage."""
    began = time.monotonic()
    stopwatch = Stopwatch(last=began)
    time.sleep(0.002)
    stopwatch.lap("decode")
    time.sleep(0.001)
    stopwatch.lap("invoke")
    stopwatch.lap("decode")

    assert list(stopwatch.laps_ms) == ["decode", "invoke"]
    assert sum(stopwatch.laps_ms.values()) == pytest.approx((stopwatch.last - began) * 1000)
    assert stopwatch.laps_ms["decode"] >= 2
