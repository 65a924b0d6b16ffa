"""What published models are known to say of photographs, all the way through the app."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lone_app import LoneApp, lone_app
from PIL import Image as Pillow

from edge_app.inference.interpreter import installed_runtimes

SHARED = Path(__file__).parents[3] / "shared" / "data"
RUNTIMES = list(installed_runtimes())
PETS = "photos/tfls_cats_and_dogs.jpg"
TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_90,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_270,
}
"""How a picture is stored whose EXIF orientation is this number."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data"),
]

CLEAR = 0.55
BARS = (114, 114, 114)
"""Grey, as the letterbox has it."""

Box = tuple[str, float, tuple[float, float, float, float]]


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What is known."""
    document: dict[str, Any] = json.loads((SHARED / "expected.json").read_text())
    return document


@pytest.fixture(scope="module")
def stocked(expected: dict[str, Any]) -> Iterator[Path]:
    """A data directory into which `lineside models add` has put the models."""
    labels = ["--labels", str(SHARED / "models" / "coco_labelmap.txt")]
    detector = str(SHARED / expected["detection"]["model"])
    with tempfile.TemporaryDirectory() as folder:
        for words in (
            ["--name", "things", str(SHARED / expected["classification"]["model"])],
            ["--name", "boxes", detector, *labels],
            ["--name", "letterboxed", detector, *labels, "--resize", "letterbox"],
        ):
            command = [sys.executable, "-m", "edge_app.cli", "models", "add", "--data", folder]
            subprocess.run([*command, *words], check=True, capture_output=True, timeout=120)
        yield Path(folder)


@pytest.fixture(scope="module", params=RUNTIMES)
def app(request: pytest.FixtureRequest, stocked: Path) -> Iterator[LoneApp]:
    """The app with its runtime set, and the models active."""
    with lone_app(stocked, inference__runtime=request.param, inference__model="things") as app:
        for name in ("things", "boxes", "letterboxed"):
            path = f"/api/v1/models/{name}/versions/1/activate?measure=0"
            status, document = app.ask("POST", path)
            assert status == 200, document
        _, status_document = app.ask("GET", "/api/v1/status")
        assert request.param in json.dumps(status_document)
        yield app


def test_the_classifier_names_what_is_seen(app: LoneApp, expected: dict[str, Any]) -> None:
    """The published top label of every photograph."""
    for path, label in expected["classification"]["top1"].items():
        assert app.predict((SHARED / path).read_bytes())["predicted_class"] == label


def test_the_detector_finds_what_is_seen(app: LoneApp, expected: dict[str, Any]) -> None:
    """The published labels in their order, scores within 0.05."""
    answer = app.predict((SHARED / PETS).read_bytes(), "boxes")

    told = [(found["label"], found["score"]) for found in answer["detections"]]
    known = expected["detection"][PETS]
    assert [label for label, _ in told[: len(known)]] == [label for label, _ in known]
    for (_, score), (_, published) in zip(told, known, strict=False):
        assert abs(score - published) <= 0.05


@pytest.mark.parametrize("orientation", TURNS)
def test_boxes_lie_on_the_upright_picture(app: LoneApp, orientation: int) -> None:
    """Stored in any of the seven other ways, a photograph gets the boxes of the upright one."""
    with Pillow.open(SHARED / PETS) as picture:
        upright = stored(picture.convert("RGB"), 1)
        turned = stored(picture.convert("RGB").transpose(TURNS[orientation]), orientation)

    plain, answer = (app.predict(content, "boxes") for content in (upright, turned))

    assert answer["image"] == plain["image"]
    assert_found_in(boxes(plain), boxes(answer), least_overlap=0.85)
    assert_found_in(boxes(answer), boxes(plain), least_overlap=0.85)


def test_boxes_of_a_letterboxed_picture_are_in_its_own_pixels(app: LoneApp) -> None:
    """They are those of the picture that was put between bars by hand, without the bars."""
    with Pillow.open(SHARED / PETS) as picture:
        plain = stored(picture.convert("RGB"), 1)
        width, height = picture.size
        by_hand = Pillow.new("RGB", (width, width), BARS)
        by_hand.paste(picture, (0, (width - height) // 2))
    moved = [
        (label, score, (left, max(0.0, top), right, min(float(height), bottom)))
        for label, score, (left, top, right, bottom) in boxes(
            app.predict(stored(by_hand, 1), "boxes"), up_px=(width - height) // 2
        )
    ]

    found = app.predict(plain, "letterboxed")

    assert (found["image"]["width"], found["image"]["height"]) == (width, height)
    assert_found_in(moved, boxes(found), least_overlap=0.85)
    assert_found_in(boxes(found), moved, least_overlap=0.85)


def stored(picture: Pillow.Image, orientation: int) -> bytes:
    """A JPEG file with that mark."""
    exif, buffer = Pillow.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    picture.save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def boxes(answer: dict[str, Any], up_px: int = 0) -> list[Box]:
    """Label, score and corners of what was found, moved up by so much."""
    return [
        (
            found["label"],
            found["score"],
            (found["x_min"], found["y_min"] - up_px, found["x_max"], found["y_max"] - up_px),
        )
        for found in answer["detections"]
    ]


def assert_found_in(some: list[Box], others: list[Box], *, least_overlap: float) -> None:
    """Each of some that is clear lies on one of the others with its label."""
    clear = [box for box in some if box[1] >= CLEAR]
    assert len(clear) >= 2
    for label, _, corners in clear:
        best = max(overlap(corners, other) for name, _, other in others if name == label)
        assert best >= least_overlap, (label, corners, others)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)
