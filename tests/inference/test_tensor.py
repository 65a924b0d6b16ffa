"""Numbers at a model's border."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.inference.tensor import TensorInfo, distinct_names


@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 128), ("int8", -128), ("int8", 89)])
def test_every_integer_comes_back_from_its_real_value(dtype: str, zero_point: int) -> None:
    """Quantizing what was dequantized changes nothing, for all 256 values."""
    info = TensorInfo("t", (1,), dtype, 0.0078125, zero_point)
    bounds = np.iinfo(dtype)
    values = np.arange(bounds.min, bounds.max + 1).astype(dtype)

    assert (info.quantize(info.dequantize(values)) == values).all()


def test_dequantizing_does_not_wrap_around() -> None:
    """A uint8 below its zero point stands for a negative number."""
    info = TensorInfo("t", (1,), "uint8", 0.5, 200)

    assert info.dequantize(np.array([0, 199, 200, 255], np.uint8)).tolist() == [
        -100.0,
        -0.5,
        0.0,
        27.5,
    ]


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 10), st.integers(-128, 127))
def test_quantizing_clips_and_is_off_by_half_a_step_at_most(
    value: float, scale: float, zero_point: int
) -> None:
    """Whatever the value, the integer is one of the type and the nearest there is."""
    info = TensorInfo("t", (1,), "int8", scale, zero_point)

    (steps,) = info.quantize(np.array([value]))

    exact = min(127, max(-128, value / scale + zero_point))
    assert abs(int(steps) - exact) <= 0.5 + 1e-6


def test_tensors_without_quantization_pass_unchanged() -> None:
    """Floats stay floats, and unquantized integers keep their values."""
    info = TensorInfo("t", (2,), "float32")
    values = np.array([0.25, -3.0], np.float32)

    assert (info.dequantize(values) == values).all()
    assert (info.quantize(values) == values).all()
    assert TensorInfo("t", (1,), "int32").dequantize(np.array([7], np.int32)) == 7.0


def test_a_tensor_survives_json() -> None:
    """What was written is read back."""
    info = TensorInfo("image", (1, 96, 96, 3), "int8", 0.0039, -128)

    assert TensorInfo.from_json(info.to_json()) == info


def test_names_are_made_distinct_by_place() -> None:
    """Tensors without a name, or with the same one, can be told apart."""
    assert distinct_names(["a", "", "a"]) == ["a", "tensor_1", "a_2"]
