"""A map of where a picture is unlike the good ones, or of its classes, small enough to be kept."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.preprocess import Roi

MAX_CELLS = 32
"""Rows and columns at most: a kilobyte shows where, and a million records stay on a card."""

LEVELS = 255


@dataclass(frozen=True, slots=True)
class SmallMap:
    """Values over a part of the source picture, a byte for each cell.

    Args:
        region: Source pixels that the map lies over.
        rows: Cells from top to bottom.
        columns: Cells from left to right.
        cells: Row by row. Of an anomaly map 0 stands for `low` and 255 for `high`, and a
            cell has the highest value in it. Of a segmentation a cell is a place in `labels`.
        low: The least value of the cells.
        high: The highest.
        labels: Classes that are there, the one that covers most first; a cell has the rarest
            one in it, so that a scratch of one pixel is seen. Empty for an anomaly map.
    """

    region: Roi
    rows: int
    columns: int
    cells: bytes
    low: float = 0.0
    high: float = 0.0
    labels: tuple[str, ...] = ()

    @classmethod
    def of_anomaly(cls, values: NDArray[np.float32], region: Roi) -> SmallMap | None:
        """The small form of an anomaly map; None if a value is no number."""
        if not np.isfinite(values).all():
            return None
        peaks = _highest(values)
        low, high = float(peaks.min()), float(peaks.max())
        cells = np.rint((peaks - low) * (LEVELS / ((high - low) or 1.0)))
        rows, columns = peaks.shape
        return cls(region, rows, columns, cells.astype(np.uint8).tobytes(), low, high)

    @classmethod
    def of_classes(
        cls, values: NDArray[np.float32], region: Roi, labels: Sequence[str]
    ) -> SmallMap:
        """The small form of a segmentation's class numbers."""
        classes = values.astype(np.intp)
        covered = np.bincount(classes.ravel(), minlength=len(labels))
        order = np.argsort(-covered, kind="stable")[: min(LEVELS, np.count_nonzero(covered))]
        ranks = np.zeros(len(covered), dtype=np.uint8)
        ranks[order] = np.arange(len(order))
        cells = _highest(ranks[classes])
        named = tuple(labels[place] for place in order)
        rows, columns = cells.shape
        return cls(region, rows, columns, cells.tobytes(), labels=named)

    @property
    def grid(self) -> NDArray[np.uint8]:
        """The cells as rows and columns."""
        return np.frombuffer(self.cells, np.uint8).reshape(self.rows, self.columns)

    def to_json(self) -> dict[str, Any]:
        """The form of the records and the API."""
        place = self.region
        return {
            "x": place.x,
            "y": place.y,
            "width": place.width,
            "height": place.height,
            "rows": self.rows,
            "columns": self.columns,
            "cells": base64.b64encode(self.cells).decode(),
            "low": self.low,
            "high": self.high,
            "labels": list(self.labels),
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> SmallMap:
        """Read what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: It did not write this.
        """
        rows, columns = int(entry["rows"]), int(entry["columns"])
        cells = base64.b64decode(entry["cells"], validate=True)
        if not (
            0 < rows <= MAX_CELLS and 0 < columns <= MAX_CELLS and len(cells) == rows * columns
        ):
            raise ValueError(f"a map of {rows} x {columns} cells has {len(cells)}")
        return cls(
            region=Roi(*(int(entry[side]) for side in ("x", "y", "width", "height"))),
            rows=rows,
            columns=columns,
            cells=cells,
            low=float(entry["low"]),
            high=float(entry["high"]),
            labels=tuple(map(str, entry["labels"])),
        )


def _highest(values: NDArray[Any]) -> NDArray[Any]:
    """The highest value in each of at most `MAX_CELLS` rows and columns of cells."""
    for axis, size in enumerate(values.shape):
        starts = np.linspace(0, size, min(size, MAX_CELLS), endpoint=False).astype(np.intp)
        values = np.maximum.reduceat(values, starts, axis=axis)
    return values
