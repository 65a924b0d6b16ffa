"""Where the model's picture lies in the source's picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.preprocess import Geometry, Roi


@dataclass(frozen=True, slots=True)
class View:
    """The way from what the model saw back to the picture that came.

    Args:
        geometry: From model pixels to source pixels.
        model_width_px: Width of the model's input.
        model_height_px: Its height.
        region: The part of the source picture that was looked at, in source pixels.
    """

    geometry: Geometry
    model_width_px: int
    model_height_px: int
    region: Roi

    @classmethod
    def whole(cls, width_px: int, height_px: int) -> View:
        """The model saw the whole picture, pixel for pixel."""
        return cls(Geometry(1, 1, 0, 0), width_px, height_px, Roi(0, 0, width_px, height_px))

    def boxes(self, shares: NDArray[Any]) -> NDArray[np.float64]:
        """Source pixels of boxes, clipped to the region.

        Args:
            shares: n x 4, x_min, y_min, x_max, y_max in shares of the model's input.
        """
        found = np.asarray(shares, dtype=np.float64).copy()
        found[:, 0::2] = found[:, 0::2] * self.model_width_px / self.geometry.scale_x
        found[:, 1::2] = found[:, 1::2] * self.model_height_px / self.geometry.scale_y
        found[:, 0::2] += self.geometry.offset_x
        found[:, 1::2] += self.geometry.offset_y
        left, top = self.region.x, self.region.y
        found[:, 0::2] = found[:, 0::2].clip(left, left + self.region.width)
        found[:, 1::2] = found[:, 1::2].clip(top, top + self.region.height)
        return found

    def seen(self, values: NDArray[Any]) -> NDArray[Any]:
        """The part of a map (height x width ...) that shows the picture, without letterbox bars."""
        rows = _span(
            (self.region.y - self.geometry.offset_y) * self.geometry.scale_y / self.model_height_px,
            self.region.height * self.geometry.scale_y / self.model_height_px,
            values.shape[0],
        )
        columns = _span(
            (self.region.x - self.geometry.offset_x) * self.geometry.scale_x / self.model_width_px,
            self.region.width * self.geometry.scale_x / self.model_width_px,
            values.shape[1],
        )
        return values[rows, columns]


def _span(start: float, length: float, cells: int) -> slice:
    """Cells of which more than half lies in a stretch told in shares; at least one."""
    first = min(max(round(start * cells), 0), cells - 1)
    last = max(min(round((start + length) * cells), cells), first + 1)
    return slice(first, last)
