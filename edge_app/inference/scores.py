"""A model's scores by label: a thousand cost nothing until somebody looks at one."""

from __future__ import annotations

import sys
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scores(Mapping[str, float]):
    """What stands in an array, as a mapping.

    A dictionary of a thousand labels took longer to make, to judge and to sort than all
    else between the model and the answer.

    Args:
        places: Where in the array each label's score is, in the model's order.
        values: The scores; not changed any more.
        labels: The same labels by place, where somebody has them; to look at all of a thousand
            takes as long as all else that is done with the best of them.

    Raises:
        ValueError: A label has no score, or a score no label.
    """

    __slots__ = ("array", "labels", "places")

    def __init__(
        self,
        places: Mapping[str, int],
        values: NDArray[np.float64],
        labels: Sequence[str] | None = None,
    ) -> None:
        if len(places) != len(values):
            raise ValueError(f"expected {len(places)} scores for as many labels, got {len(values)}")
        self.places = places
        self.array = values
        self.labels = tuple(places) if labels is None else labels

    def __getitem__(self, label: str) -> float:
        return float(self.array[self.places[label]])

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __contains__(self, label: object) -> bool:
        return label in self.places

    def items(self) -> ItemsView[str, float]:
        """All of them at once: one by one out of an array they take ten times as long."""
        return self._dictionary().items()

    def values(self) -> ValuesView[float]:
        """See `items`."""
        return self._dictionary().values()

    def _dictionary(self) -> dict[str, float]:
        return dict(zip(self.places, self.array.tolist(), strict=True))


def array_of(scores: Mapping[str, float]) -> NDArray[np.float64]:
    """The scores alone, in the mapping's order."""
    if isinstance(scores, Scores):
        return scores.array
    return np.fromiter(scores.values(), np.float64, len(scores))


def within(values: NDArray[Any], low: float, high: float) -> bool:
    """Whether all lie between the two; a NaN, the least as well as the greatest, never does."""
    if not values.size:
        return True
    # By their places: after a model the processor has none of numpy's code at hand, and fetching
    # what `min` and `max` need takes ten times as long as running it.
    least, greatest = values.item(values.argmin()), values.item(values.argmax())
    return bool(low <= least and greatest <= high)


def finite(values: NDArray[Any]) -> bool:
    """Whether all are numbers."""
    return within(values, -sys.float_info.max, sys.float_info.max)


def highest(scores: Mapping[str, float], count: int) -> dict[str, float]:
    """The highest scores, best first; of equal ones the first in the mapping."""
    values = array_of(scores)
    best = (-values).argsort(kind="stable")[:count]
    labels = scores.labels if isinstance(scores, Scores) else tuple(scores)
    found = zip(best.tolist(), values.take(best).tolist(), strict=True)
    return {labels[place]: score for place, score in found}
