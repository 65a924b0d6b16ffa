"""Pictures to tensors, held against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.inference.preprocess import Color, Contract, Geometry, Preprocessor, Resize, Roi
from edge_app.inference.tensor import TensorInfo


def info(
    dtype: str = "float32", channels: int = 3, scale: float = 0.0, zero: int = 0
) -> TensorInfo:
    """An input of 12 x 20 pixels."""
    return TensorInfo("image", (1, 12, 20, channels), dtype, scale, zero)


@settings(max_examples=60)
@given(
    st.lists(st.floats(0, 255), min_size=3, max_size=3),
    st.lists(st.floats(0.5, 300), min_size=3, max_size=3),
    st.sampled_from([("float32", 0.0, 0), ("int8", 1 / 128, 0), ("uint8", 1 / 64, 128)]),
    st.integers(0, 2**32 - 1),
)
def test_the_table_gives_what_arithmetic_gives(
    mean: list[float], std: list[float], kind: tuple[str, float, int], seed: int
) -> None:
    """(pixel - mean) / std, quantized, for every channel on its own."""
    tensor = info(kind[0], 3, kind[1], kind[2])
    contract = Contract(mean=tuple(mean), std=tuple(std))
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 20, 3), dtype=np.uint8)

    given_tensor = Preprocessor(contract, tensor).normalise(pixels)

    exact = tensor.quantize((pixels.astype(np.float64) - mean) / std)
    assert given_tensor.shape == (1, 12, 20, 3)
    assert given_tensor.dtype == tensor.dtype
    assert (given_tensor[0] == exact).all()


def test_plain_pixels_pass_without_a_table() -> None:
    """A uint8 model that takes pixels as they are gets them, not a copy through arithmetic."""
    tensor = info("uint8", 3, 1 / 128, 128)
    contract = Contract(mean=(128.0,), std=(128.0,))
    pixels = np.random.default_rng(1).integers(0, 256, (12, 20, 3), dtype=np.uint8)

    assert (Preprocessor(contract, tensor).normalise(pixels)[0] == pixels).all()


@pytest.mark.parametrize(
    ("color", "expected"), [("RGB", (30, 20, 10)), ("BGR", (10, 20, 30)), ("GREY", (22,))]
)
def test_colours_come_in_the_contract_s_order(color: Color, expected: tuple[int, ...]) -> None:
    """Pictures are blue-green-red here; the network gets what it was trained with."""
    image = np.full((12, 20, 3), (10, 20, 30), np.uint8)

    pixels, _ = Preprocessor(Contract(color=color), info(channels=len(expected))).fit(image)

    assert (pixels == expected).all()


@settings(max_examples=80)
@given(
    st.sampled_from(["stretch", "crop", "letterbox"]),
    st.integers(1, 400),
    st.integers(1, 400),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_any_picture_fits_and_its_geometry_stays_inside(
    resize: Resize, width: int, height: int, across: float, down: float
) -> None:
    """Every model pixel that shows the picture maps back into it, within a pixel."""
    image = np.zeros((height, width, 3), np.uint8)
    preprocessor = Preprocessor(Contract(resize=resize), info())

    pixels, geometry = preprocessor.fit(image)

    assert pixels.shape == (12, 20, 3)
    x, y = geometry.to_source(across * 20, down * 12)
    if resize != "letterbox":
        assert -1 <= x <= width + 1
        assert -1 <= y <= height + 1
    else:
        # The middle of the model's picture is the middle of the source's.
        x, y = geometry.to_source(10, 6)
        assert x == pytest.approx(width / 2, abs=max(1.0, 1.0 / geometry.scale_x))
        assert y == pytest.approx(height / 2, abs=max(1.0, 1.0 / geometry.scale_y))


@pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox"])
def test_a_white_spot_is_found_where_it_was(resize: Resize) -> None:
    """The way back leads to the source pixels that made the model's pixels bright."""
    image = np.zeros((240, 300, 3), np.uint8)
    image[100:130, 140:180] = 255

    pixels, geometry = Preprocessor(Contract(resize=resize, kernel="area"), info()).fit(image)

    rows, columns = np.nonzero(pixels[:, :, 0] > 127)
    x, y = geometry.to_source(columns.mean() + 0.5, rows.mean() + 0.5)
    assert x == pytest.approx(160, abs=0.6 / geometry.scale_x)
    assert y == pytest.approx(115, abs=0.6 / geometry.scale_y)


def test_letterbox_bars_are_grey() -> None:
    """Bars have the value 114 that detectors are trained with."""
    image = np.full((12, 12, 3), 255, np.uint8)

    pixels, _ = Preprocessor(Contract(resize="letterbox"), info()).fit(image)

    assert (pixels[:, :4] == 114).all()
    assert (pixels[:, 16:] == 114).all()
    assert (pixels[:, 4:16] == 255).all()


def test_a_geometry_is_moved_by_a_region_and_enlarged_by_a_reduction() -> None:
    """A position in the model's picture is told in pixels of the whole source."""
    geometry = Geometry(0.5, 0.25, -3, 2)

    assert geometry.moved(Roi(100, 50, 10, 10)).to_source(10, 10) == (117, 92)
    assert geometry.moved(None) is geometry
    assert geometry.enlarged(4).to_source(10, 10) == (68, 168)


def test_a_region_outside_the_picture_is_refused() -> None:
    """The sentence tells the region and the picture."""
    image = np.zeros((40, 60, 3), np.uint8)

    assert Roi(10, 5, 50, 35).cut(image).shape == (35, 50, 3)
    with pytest.raises(ValueError, match="50x36 at 10,5 lies outside a picture of 60x40"):
        Roi(10, 5, 50, 36).cut(image)


@pytest.mark.parametrize(
    "wrong",
    [
        {"color": "CMYK"},
        {"resize": "fold"},
        {"kernel": "magic"},
        {"mean": (1.0, 2.0)},
        {"std": (0.0,)},
        {"mean": (float("nan"),)},
        {"color": "GREY", "std": (1.0, 1.0, 1.0)},
    ],
)
def test_a_contract_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    """Words and numbers are checked where the contract is made."""
    with pytest.raises(ValueError, match=r"expected|need|must"):
        Contract(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_contract_survives_json() -> None:
    """What was written is read back."""
    contract = Contract("GREY", "crop", "cubic", (127.5,), (2.0,))

    assert Contract.from_json(contract.to_json()) == contract


@pytest.mark.parametrize("shape", [(1, 640), (1, 12, 20, 1), (1, 0, 20, 3)])
def test_an_input_that_takes_no_such_picture_is_refused(shape: tuple[int, ...]) -> None:
    """The sentence tells the shape that came and the one that is needed."""
    with pytest.raises(ValueError, match=r"needs \[1, height, width, 3\]"):
        Preprocessor(Contract(), TensorInfo("image", shape, "uint8"))


def test_an_integer_input_without_quantization_takes_pixels() -> None:
    """Mean and std can't be said in integers without a scale."""
    pixels = np.full((12, 20, 3), 200, np.uint8)

    assert (Preprocessor(Contract(), info("int32")).normalise(pixels) == 200).all()
