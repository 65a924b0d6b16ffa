"""The scores of many labels as JSON: the digits are written into a text that is there already.

A thousand of them as floats in a dictionary took a tenth of the time from a picture's arrival to
its answer. Here most of it is a text of noughts, and only where a score is none of them do its
digits go into their places: of a thousand that is a handful.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.scores import Scores, array_of

FEW = 30
"""So many scores are written as quickly one by one."""

PLACES = 6
"""Decimal places."""

MAX_KNOWN = 4
"""Models whose text is kept: 100 bytes for a label."""

_FORM = "0." + "0" * PLACES
_AT = np.array([0, *range(2, 2 + PLACES)])
"""Where in that form the digits are."""

_WEIGHTS = 10 ** np.arange(PLACES, -1, -1)


class ScoreText:
    """A JSON object of labels and scores, to be filled in.

    Args:
        labels: Its names, in their order.
    """

    def __init__(self, labels: Mapping[str, int]) -> None:
        self.labels = labels
        names = [json.dumps(label) + ":" for label in labels]
        text = "{" + ",".join(name + _FORM for name in names) + "}"
        steps = np.array([len(name) for name in names]) + len(_FORM) + 1
        starts = 1 + np.cumsum(steps) - len(_FORM) - 1
        self._text = np.frombuffer(text.encode(), np.uint8)
        self._digits_at = starts[:, None] + _AT

    def of(self, scores: NDArray[np.float64]) -> bytes:
        """With these scores, each from 0 to below 10, in the labels' order."""
        millionths = np.rint(scores * 10**PLACES).astype(np.int64)
        (others,) = millionths.nonzero()
        text = self._text.copy()
        digits = millionths[others, None] // _WEIGHTS % 10 + ord("0")
        text[self._digits_at[others]] = digits
        return text.tobytes()


_known: list[ScoreText] = []


def scores_json(scores: Mapping[str, float]) -> bytes | None:
    """The scores to six places; None where they are few, or not of the kind that is quick."""
    if not isinstance(scores, Scores) or len(scores) <= FEW:
        return None
    values = array_of(scores)
    # What is no number is neither.
    if not ((values >= 0) & (values < 9)).all():
        return None
    return _text_of(scores.places).of(values)


def _text_of(labels: Mapping[str, int]) -> ScoreText:
    for text in tuple(_known):
        if text.labels is labels:
            return text
    text = ScoreText(labels)
    _known[:] = [text, *_known[: MAX_KNOWN - 1]]
    return text
