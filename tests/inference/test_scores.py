"""Scores by label: what a dictionary would say, without making one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.inference.scores import Scores, array_of, finite, highest, within

LABELS = ("a", "b", "c", "d")
PLACES = {label: place for place, label in enumerate(LABELS)}


def test_it_is_the_dictionary_it_stands_for() -> None:
    """Same keys in the same order, same values, equal both ways round."""
    scores = Scores(PLACES, np.array([0.1, 0.4, 0.2, 0.3]))
    meant = dict(zip(LABELS, [0.1, 0.4, 0.2, 0.3], strict=True))

    assert scores == meant
    assert meant == scores
    assert list(scores.items()) == list(meant.items())
    assert list(scores.values()) == list(meant.values())
    assert (scores["b"], len(scores), "e" in scores) == (0.4, 4, False)
    with pytest.raises(KeyError):
        scores["e"]


def test_labels_and_scores_belong_together() -> None:
    """A label that stands twice, or a score too many, is refused."""
    with pytest.raises(ValueError, match="expected 4 scores for as many labels, got 5"):
        Scores(PLACES, np.zeros(5))


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_the_highest_are_those_a_sort_would_give(count: int) -> None:
    """Best first; of equal ones those that come first, whether from an array or a dictionary."""
    values = np.random.default_rng(1).integers(0, 4, 50) / 4
    labels = [f"label {place}" for place in range(50)]
    scores = Scores({label: place for place, label in enumerate(labels)}, values)
    best = sorted(labels, key=scores.__getitem__, reverse=True)[:count]
    meant = [(label, scores[label]) for label in best]

    assert list(highest(scores, count).items()) == meant
    assert list(highest(dict(scores), count).items()) == meant
    assert highest({}, count) == {}
    assert array_of(dict(scores)).tolist() == values.tolist()


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=300),
    st.sampled_from([np.float32, np.float64]),
    st.data(),
)
def test_one_number_that_is_none_is_found_wherever_it_stands(
    values: list[float], kind: type, data: st.DataObject
) -> None:
    """All between the limits, or not: a NaN, an infinity or a value beyond them, at any place."""
    array = np.array(values, kind)
    place = data.draw(st.integers(0, len(values) - 1))
    wrong = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1.5, -0.5]))

    assert within(array, 0, 1)
    assert finite(array)
    array[place] = wrong
    assert not within(array, 0, 1)
    assert finite(array) == bool(np.isfinite(wrong))


def test_every_tensor_is_looked_at_whole() -> None:
    """Whatever its shape and order in memory; one without a value is sound."""
    tensor = np.asfortranarray(np.zeros((1, 4, 6, 3), np.float32))

    assert finite(tensor)
    tensor[0, 3, 5, 2] = np.nan
    assert not finite(tensor)
    assert finite(np.zeros((0, 4), np.float32))
