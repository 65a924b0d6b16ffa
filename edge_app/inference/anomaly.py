"""How unlike the good ones a picture is: one number, and a map of where."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.view import View

Real = NDArray[np.float32]


def read_anomaly(outputs: Mapping[str, Real], view: View) -> tuple[float, Real | None]:
    """The anomaly of a model that gives a map, a single score, or both.

    Args:
        outputs: A map [1, height, width] or [1, height, width, 1], a single value, or both.
        view: Tells which part of the map shows the picture.

    Returns:
        The score: the single value where there is one, else the map's maximum within
        the picture; and the map within the picture.

    Raises:
        ValueError: There is neither, or more than one of a kind.
    """
    singles = [values for values in outputs.values() if values.size == 1]
    maps = [values for values in outputs.values() if values.size > 1]
    if len(singles) > 1 or len(maps) > 1 or not outputs:
        raise ValueError(
            f"an anomaly model gives one map, one score or both; this one gives {len(maps)} "
            f"maps and {len(singles)} scores"
        )
    heat = view.seen(_plane(maps[0])) if maps else None
    score = float(singles[0].reshape(-1)[0]) if singles else float(np.max(_full(heat)))
    return score, heat


def reconstruction_error(
    inputs: Mapping[str, Real], outputs: Mapping[str, Real], view: View
) -> tuple[float, Real | None]:
    """How far an autoencoder's output is from its input: the mean square over the picture.

    Returns:
        The mean squared difference in the model's real values, and for pictures a map
        of it (mean over the channels).

    Raises:
        ValueError: There is not exactly one input and one output of the same size.
    """
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"an autoencoder has one input and one output, this model {len(inputs)} "
            f"and {len(outputs)}"
        )
    (came,), (made,) = inputs.values(), outputs.values()
    if came.size != made.size:
        raise ValueError(
            f"an autoencoder's output has its input's shape; these are {list(came.shape)} "
            f"and {list(made.shape)}"
        )
    square = np.square(came - made.reshape(came.shape), dtype=np.float32)
    if came.ndim != 4:
        return float(square.mean()), None
    heat = view.seen(square[0].mean(axis=2))
    return float(heat.mean()), heat


def _plane(values: Real) -> Real:
    sizes = [size for size in values.shape if size != 1]
    if len(sizes) > 2:
        raise ValueError(f"an anomaly map has height and width, this one {list(values.shape)}")
    # Height and width may themselves be 1: only the batch and the channel fall away.
    if values.ndim == 4:
        return values[0, :, :, 0] if values.shape[3] == 1 else values[0, 0]
    return values.reshape(values.shape[-2:]) if values.ndim == 3 else np.atleast_2d(values[0])


def _full(heat: Real | None) -> Real:
    if heat is None:
        raise ValueError("an anomaly model gives one map, one score or both")
    return heat
