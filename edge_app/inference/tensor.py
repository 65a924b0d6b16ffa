"""What a model's input or output tensor is: name, shape, type, quantization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor at a model's border.

    Args:
        name: The signature's name for it where there is one, else the graph's.
        shape: As the model states it; -1 or 1 first for the batch. Some models
            (SSD post-processing) state `()` before they have run.
        dtype: numpy's name, e.g. `uint8`.
        scale: Real value of one step; 0 for an unquantized tensor.
        zero_point: Integer that stands for 0.0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def quantized(self) -> bool:
        """Whether integers stand for real values here."""
        return self.scale != 0.0

    def dequantize(self, values: Array) -> NDArray[np.float32]:
        """Real values of what the model gave out; float tensors pass unchanged."""
        if not self.quantized:
            return np.asarray(values, dtype=np.float32)
        if values.dtype.itemsize == 1:
            return _of_bytes(values.dtype, self.scale, self.zero_point).take(values.view(np.uint8))
        # Widened first: uint8 - int would wrap around below the zero point.
        return ((values.astype(np.int32) - self.zero_point) * self.scale).astype(np.float32)

    def quantize(self, values: Array) -> Array:
        """Integers that stand for real values, rounded half to even and clipped to the type."""
        if not self.quantized:
            return np.asarray(values, dtype=self.dtype)
        bounds = np.iinfo(self.dtype)
        steps = np.rint(np.asarray(values, dtype=np.float64) / self.scale) + self.zero_point
        clipped: Array = np.clip(steps, bounds.min, bounds.max).astype(self.dtype)
        return clipped

    def to_json(self) -> dict[str, Any]:
        """The form kept in a model file and shown by the API."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "scale": self.scale,
            "zero_point": self.zero_point,
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> TensorInfo:
        """Read what `to_json` wrote."""
        return cls(
            name=str(entry["name"]),
            shape=tuple(int(size) for size in entry["shape"]),
            dtype=np.dtype(entry["dtype"]).name,
            scale=float(entry["scale"]),
            zero_point=int(entry["zero_point"]),
        )


@lru_cache(maxsize=64)
def _of_bytes(dtype: np.dtype[Any], scale: float, zero_point: int) -> NDArray[np.float32]:
    """The real value of each byte: to look one up takes a third of working it out."""
    values = np.arange(256, dtype=np.uint8).view(dtype)
    return ((values.astype(np.int32) - zero_point) * scale).astype(np.float32)


def distinct_names(names: Sequence[str]) -> list[str]:
    """The same names, those that are empty or stand twice made distinct by their place."""
    distinct: list[str] = []
    for place, name in enumerate(names):
        known = name or f"tensor_{place}"
        distinct.append(known if known not in distinct else f"{known}_{place}")
    return distinct
