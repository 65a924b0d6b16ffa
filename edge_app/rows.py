"""A client's numbers arranged as a model takes them: one set of tensors for each row."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from edge_app.inference.tensor import Array, TensorInfo

MAX_ROWS = 64


class BadTensor(Exception):  # noqa: N818 - the caller's fault, read as a sentence where it is raised
    """The numbers don't fit the model; says what it expects and what came."""


def fit_rows(
    inputs: tuple[TensorInfo, ...], tensors: Mapping[str, Array], raw: Collection[str] = ()
) -> list[dict[str, Array]]:
    """Arrange real values as the model takes them, one dict for each row.

    Args:
        inputs: What the model takes.
        tensors: By input name, with or without the batch's dimension.
        raw: Inputs that came in the model's own integers and stay as they are.

    Raises:
        BadTensor: A name, shape or type does not fit.
    """
    infos = {info.name: info for info in inputs}
    if tensors.keys() != infos.keys():
        raise BadTensor(f"expected inputs {', '.join(infos)}; got {', '.join(tensors) or 'none'}")
    batches = {name: _batch(infos[name], values) for name, values in tensors.items()}
    sizes = {name: len(batch) for name, batch in batches.items()}
    if len(set(sizes.values())) != 1:
        raise BadTensor(f"expected as many rows for each input, got {sizes}")
    (count,) = set(sizes.values())
    if not 1 <= count <= MAX_ROWS:
        raise BadTensor(f"expected 1 to {MAX_ROWS} rows, got {count}")
    return [
        {
            name: part if name in raw else infos[name].quantize(part)
            for name, part in ((name, batch[row : row + 1]) for name, batch in batches.items())
        }
        for row in range(count)
    ]


def _batch(info: TensorInfo, values: Array) -> Array:
    row = tuple(info.shape[1:])
    if values.dtype.kind not in "biuf":
        raise BadTensor(f"input {info.name}: expected numbers of shape {[-1, *row]}")
    if values.shape == row:
        values = values[None]
    if values.shape[1:] != row or values.ndim != len(row) + 1:
        raise BadTensor(
            f"input {info.name}: expected shape {list(row)} or {[-1, *row]}, "
            f"got {list(values.shape)}"
        )
    if not np.isfinite(values).all():
        raise BadTensor(f"input {info.name}: expected finite numbers")
    return values
