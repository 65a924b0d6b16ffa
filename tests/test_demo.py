"""The demo: photographs made in code, and the model that ships with them."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_app.inference.bundle import read_bundle
from edge_app.inference.decode import decode_image
from edge_app.inference.engine import Engine
from edge_app.inference.judge import Decision, judge

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "edge_app" / "demo"
PARTS = DEMO / "parts"

SEED = 74
"""A series of its own: `make-demo` trains, validates, chooses and measures on 70 to 73."""


@pytest.fixture(scope="module")
def photo() -> Any:
    """The module that takes photographs; `scripts` is no package."""
    return _script("demo_photo")


def _script(name: str) -> Any:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def truth() -> dict[str, str]:
    """Class of each photograph that ships."""
    with (PARTS / "truth.csv").open(newline="") as file:
        return {row["file"]: row["class"] for row in csv.DictReader(file)}


def test_same_seed_gives_the_same_photograph(photo: Any) -> None:
    """Seed, number and class decide every pixel of a photograph."""
    first = photo.take_photo("chip", SEED, 3)
    again = photo.take_photo("chip", SEED, 3)

    assert np.array_equal(first.image, again.image)
    assert first.quality == again.quality


def test_numbers_give_different_photographs(photo: Any) -> None:
    """No two numbers of a series show the same picture."""
    shots = {photo.take_photo("good", SEED, number).image.tobytes() for number in range(4)}

    assert len(shots) == 4


def test_photographs_are_small_colour_pictures(photo: Any) -> None:
    """A photograph is 400x300 and its file decodes to what was taken, within JPEG's loss."""
    shot = photo.take_photo("scratch", SEED, 5)
    decoded = decode_image(shot.jpeg())

    assert decoded.shape == shot.image.shape == (300, 400, 3)
    assert np.abs(decoded.astype(int) - shot.image).mean() < 6


@pytest.mark.skipif(
    int(cv2.__version__.split(".")[0]) >= 5,
    reason="OpenCV 5 letters the drawn parts differently from those the model was trained on",
)
def test_shipped_model_knows_unseen_parts() -> None:
    """At least 97 % of parts it never saw get their class, and scrap is not called OK."""
    measuring = _script("demo_measure")
    measured = measuring.measure(DEMO / "model.tflite", measuring.in_turn(SEED, range(120)))

    assert measured.right >= 0.97 * 120, measured.report()
    assert measured.escapes == 0, measured.report()


def test_shipped_files_are_small() -> None:
    """The model has at most 300 KB and the photographs at most 1.2 MB together."""
    sizes = [path.stat().st_size for path in PARTS.glob("*.jpg")]

    assert (DEMO / "model.tflite").stat().st_size <= 300_000
    assert len(sizes) == 40
    assert sum(sizes) <= 1_200_000


def test_truth_names_every_photograph(truth: dict[str, str]) -> None:
    """`truth.csv` lists exactly the photographs that are there, most of them good."""
    names = {path.name for path in PARTS.glob("*.jpg")}
    classes = Counter(truth.values())

    assert names == truth.keys()
    assert classes["good"] > len(truth) / 2
    assert set(classes) == set(read_bundle(DEMO / "model.tflite").spec.task.labels)


def test_shipped_line_shows_every_verdict(truth: dict[str, str]) -> None:
    """The demo line has parts to accept, to reject and to look at; no scrap passes as OK."""
    bundle = read_bundle(DEMO / "model.tflite")
    engine = Engine(bundle)
    decisions = {
        name: judge(
            engine.predict(decode_image((PARTS / name).read_bytes())), bundle.spec.limits
        ).decision
        for name in truth
    }
    passed = [name for name, decision in decisions.items() if decision is Decision.OK]

    assert {Decision.OK, Decision.NG, Decision.REVIEW} == set(decisions.values())
    assert all(truth[name] == "good" for name in passed)
