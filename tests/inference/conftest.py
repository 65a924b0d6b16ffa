"""Models and pictures for the inference tests: small made ones, and real ones where there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_app.inference.bundle import ModelBundle, ModelSpec
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import TensorInfo

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real inputs; tests that need it are skipped without it."""
    if not DATA.is_dir():
        pytest.skip("the real test data is not on this machine")
    return DATA


@pytest.fixture
def picture() -> np.ndarray:
    """A picture of 60 x 40 pixels, different everywhere."""
    return np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture
def make_bundle() -> Callable[..., ModelBundle]:
    """Makes a bundle of a classifier for pictures of 8 x 8, without a model that runs."""

    def make(
        task: Task | None = None, contract: Contract | None = None, flatbuffer: bytes = b"none"
    ) -> ModelBundle:
        goes_in = TensorInfo("image", (1, 8, 8, 3), "uint8", 1 / 255, 0)
        comes_out = TensorInfo("scores", (1, 2), "uint8", 1 / 256, 0)
        spec = ModelSpec(
            name="made",
            task=task or Task("classification", ("good", "bad")),
            inputs=(goes_in,),
            outputs=(comes_out,),
            contract=contract or Contract(),
        )
        return ModelBundle(flatbuffer, spec)

    return make
