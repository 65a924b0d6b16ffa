"""Scores of many labels as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge_app.inference.scores import Scores
from edge_app.web.score_text import FEW, MAX_KNOWN, scores_json

AWKWARD = ('"quoted"', "back\\slash", "划痕", "", "tab\there")


def scores_of(count: int, values: np.ndarray | None = None, prefix: str = "class") -> Scores:
    """Scores for that many labels, the awkward ones first."""
    labels = [*AWKWARD, *(f"{prefix} {number}" for number in range(count))][:count]
    given = np.random.default_rng(count).dirichlet(np.full(count, 0.1))
    places = {label: place for place, label in enumerate(labels)}
    return Scores(places, given if values is None else values)


@pytest.mark.parametrize("count", [FEW + 1, 1001])
def test_the_text_reads_as_the_rounded_scores_in_the_models_order(count: int) -> None:
    """Every label stands for its score to six places, whatever characters it is made of."""
    scores = scores_of(count)
    read = json.loads(scores_json(scores) or "")
    assert read == dict(zip(scores, scores.array.round(6).tolist(), strict=True))
    assert list(read) == list(scores)


def test_the_range_ends_are_exact() -> None:
    """0, 1, what rounds up to 1 and halves of the last place read as rounding makes them."""
    values = np.linspace(0, 1, 50)
    values[:5] = (0.0, 1.0, 0.9999996, 0.0000005, 0.1234565)
    read = json.loads(scores_json(scores_of(50, values)) or "")
    assert list(read.values()) == values.round(6).tolist()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.001, 17.5])
def test_what_is_no_plain_score_is_left_to_the_general_way(value: float) -> None:
    """A single number that is none, negative or large makes the whole go the other way."""
    values = np.linspace(0, 1, 50)
    values[17] = value
    assert scores_json(scores_of(50, values)) is None


def test_few_scores_are_left_to_the_general_way() -> None:
    """A handful of labels needs no text of its own."""
    assert scores_json(scores_of(FEW)) is None


def test_models_that_take_turns_keep_their_own_labels() -> None:
    """More models than are kept in mind answer with their own labels each time."""
    models = [scores_of(40, prefix=f"model {number}") for number in range(MAX_KNOWN + 2)]
    for scores in models * 2:
        assert list(json.loads(scores_json(scores) or "")) == list(scores)


def test_noughts_and_a_few_scores_stand_where_they_belong() -> None:
    """Where nearly all labels have no score, the few that have one stand beside their own."""
    values = np.zeros(1001)
    values[[0, 17, 1000]] = (0.25, 0.000001, 0.749999)
    read = json.loads(scores_json(scores_of(1001, values)) or "")
    assert list(read.values()) == values.round(6).tolist()
