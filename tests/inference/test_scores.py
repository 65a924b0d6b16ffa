"""Scores by label: what a dictionary would say, without making one."""

from __future__ import annotations

import numpy as np
import pytest

from edge_app.inference.scores import Scores, array_of, highest

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
    meant = sorted(labels, key=scores.__getitem__, reverse=True)[:count]

    assert highest(scores, count) == meant
    assert highest(dict(scores), count) == meant
    assert highest({}, count) == []
    assert array_of(dict(scores)).tolist() == values.tolist()
