"""What a model found stays in the record, and can be looked at on the picture."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from device import PICTURE, Colours, Device, picture

from edge_app.inference.bundle import ModelBundle, ModelSpec
from edge_app.inference.judge import Limits
from edge_app.inference.limits import Band, CountRule
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import Array, TensorInfo
from edge_app.records.database import Database

API = "/api/v1/inspections"
NUTS = (
    TensorInfo("boxes", (1, 2, 4), "float32"),
    TensorInfo("classes", (1, 2), "float32"),
    TensorInfo("scores", (1, 2), "float32"),
    TensorInfo("count", (1,), "float32"),
)
WEAR = (TensorInfo("map", (1, 4, 4, 1), "float32"),)


class Nuts(Colours):
    """Finds a nut in the middle of every picture, and a washer in its corner."""

    outputs = NUTS  # type: ignore[assignment]

    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Top, left, bottom, right."""
        del tensors
        boxes = np.array([[[0.25, 0.25, 0.75, 0.75], [0.9, 0.9, 1, 1]]], np.float32)
        return {
            "boxes": boxes,
            "classes": np.array([[0, 1]], np.float32),
            "scores": np.array([[0.9, 0.5]], np.float32),
            "count": np.array([2], np.float32),
        }


class Wear(Colours):
    """Sees wear in the right half of every picture."""

    outputs = WEAR  # type: ignore[assignment]

    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """A map of two halves."""
        del tensors
        heat = np.zeros((1, 4, 4, 1), np.float32)
        heat[:, :, 2:] = 2.0
        return {"map": heat}


def bundle(task: Task, outputs: tuple[TensorInfo, ...], limits: Limits) -> ModelBundle:
    """A model file for one of them."""
    spec = ModelSpec("colours", task, (PICTURE,), outputs, Contract(), limits)
    return ModelBundle(b"TFL3" + b"a" * 64, spec)


@pytest.fixture
def nuts(data_dir: Path) -> Any:
    """A device that finds nuts."""
    device = Device(data_dir)
    device.model = Nuts()
    limits = Limits(accept=0.8, counts=(CountRule("nut", 1, 1),))
    task = Task("detection", ("nut", "垫圈"), layout="ssd")
    device.start().install(bundle=bundle(task, NUTS, limits))
    yield device
    device.stop()


@pytest.fixture
def wear(data_dir: Path) -> Any:
    """A device that finds wear."""
    device = Device(data_dir)
    device.model = Wear()
    limits = Limits(anomaly=Band(0.5, 1.0))
    device.start().install(bundle=bundle(Task("anomaly"), WEAR, limits))
    yield device
    device.stop()


def judged(device: Device, content: bytes) -> dict[str, Any]:
    """An upload's answer, once its record and picture are on the disk."""
    made: dict[str, Any] = device.client.post("/predict", data=content).get_json()
    device.record(made["id"])
    device.uploads.archive.stop()
    return made


def looked_at(device: Device, made: dict[str, Any], query: str = "?boxes=1") -> Any:
    """The pixels of the picture that the API gives."""
    reply = device.client.get(f"{API}/{made['id']}/image{query}")
    assert (reply.status_code, reply.content_type) == (200, "image/jpeg")
    return cv2.imdecode(np.frombuffer(reply.data, np.uint8), cv2.IMREAD_COLOR)


def test_boxes_stay_in_the_record(nuts: Device) -> None:
    """As they were answered, in pixels of the picture."""
    made = judged(nuts, picture("white", 400, 200))

    record = nuts.client.get(f"{API}/{made['id']}").get_json()

    assert [found["label"] for found in record["detections"]] == ["nut", "垫圈"]
    assert record["detections"][0] == pytest.approx(
        {"label": "nut", "score": 0.9, "x_min": 100, "y_min": 50, "x_max": 300, "y_max": 150}
    )
    assert (record["detections_left_out"], record["map"], record["anomaly"]) == (0, None, None)
    assert (record["verdict"], record["damaged"]) == ("OK", [])


def test_boxes_are_drawn_where_they_are(nuts: Device) -> None:
    """The box's edge is drawn, the middle and the margin are as they were."""
    made = judged(nuts, picture("white", 400, 200))

    image = looked_at(nuts, made)

    assert image.shape == (200, 400, 3)
    assert image[100, 100].min() < 150
    assert image[150, 200].min() < 150
    assert image[100, 200].min() > 240
    assert image[100, 40].min() > 240


def test_large_pictures_are_drawn_smaller(nuts: Device) -> None:
    """It is for people's eyes: 4000 pixels are of no use to them."""
    made = judged(nuts, picture("white", 4000, 2000))

    image = looked_at(nuts, made)

    assert image.shape == (800, 1600, 3)
    assert image[400, 400].min() < 200
    assert image[400, 800].min() > 240


def test_the_map_of_an_anomaly_stays_in_the_record(wear: Device) -> None:
    """Cells over a region of the picture, low to high."""
    made = judged(wear, picture("white", 400, 200))

    record = wear.client.get(f"{API}/{made['id']}").get_json()
    listed = wear.client.get(API).get_json()["inspections"][0]

    heat = record["map"]
    assert (record["anomaly"], record["verdict"]) == (2.0, "NG")
    assert [heat[side] for side in ("x", "y", "width", "height")] == [0, 0, 400, 200]
    assert (heat["rows"], heat["columns"], heat["low"], heat["high"]) == (4, 4, 0.0, 2.0)
    assert list(base64.b64decode(heat["cells"])) == [0, 0, 255, 255] * 4
    assert "map" not in listed
    assert listed["anomaly"] == 2.0


def test_the_map_is_laid_over_the_picture(wear: Device) -> None:
    """Red where it is hot, untouched where it is not."""
    made = judged(wear, picture("white", 400, 200))

    image = looked_at(wear, made)

    assert image[100, 20].min() > 240
    blue, _, red = image[100, 380].astype(int)
    assert red - blue > 80


def test_without_a_wish_the_picture_is_the_one_that_came(nuts: Device) -> None:
    """Bit for bit; a wish that is none is refused."""
    content = picture("white", 40, 20, "JPEG")
    made = judged(nuts, content)

    assert nuts.client.get(f"{API}/{made['id']}/image?boxes=0").data == content
    assert nuts.client.get(f"{API}/{made['id']}/image?boxes=2").status_code == 400


def test_exports_carry_what_was_found(nuts: Device) -> None:
    """The table has boxes and the request's id, a line of JSON the same and the map."""
    made = judged(nuts, picture("white", 400, 200))

    (row,) = csv.DictReader(io.StringIO(nuts.client.get("/api/v1/export.csv").text))
    (line,) = nuts.client.get("/api/v1/export.jsonl").text.splitlines()

    boxes = json.loads(row["detections"])
    assert [box["label"] for box in boxes] == ["nut", "垫圈"]
    assert json.loads(line)["detections"] == boxes
    assert json.loads(line)["map"] is None
    assert row["request_id"] == json.loads(line)["request_id"] != ""
    assert row["id"] == str(made["id"])


@pytest.mark.parametrize("path", ["", "/export.jsonl", "/export.csv"])
def test_a_damaged_record_hides_no_other(nuts: Device, path: str, data_dir: Path) -> None:
    """Lists and exports show it as damaged, beside the others."""
    ids = [nuts.client.post("/predict", data=picture()).get_json()["id"] for _ in range(2)]
    for one in ids:
        nuts.record(one)
    database = Database(data_dir / "records.db")
    with database.transaction() as connection:
        connection.execute("UPDATE inspections SET decision = 'O' WHERE id = ?", (ids[0],))
    database.close()

    if path:
        reply = nuts.client.get(f"/api/v1{path}")
        assert reply.status_code == 200
        assert all(str(one) in reply.text for one in ids)
        return
    found = {one["id"]: one for one in nuts.client.get(API).get_json()["inspections"]}
    assert (found[ids[0]]["verdict"], found[ids[0]]["damaged"]) == ("NONE", ["verdict"])
    assert (found[ids[1]]["verdict"], found[ids[1]]["damaged"]) == ("OK", [])


def test_a_thousand_labels_are_answered_and_ten_kept(
    data_dir: Path, many: Callable[[int], tuple[Colours, ModelBundle]]
) -> None:
    """The answer has all scores, the record the highest and those with a limit."""
    device = Device(data_dir)
    device.model, packed = many(1001)
    device.start().install(bundle=packed)
    made = device.client.post("/predict", data=picture()).get_json()
    kept = device.record(made["id"])
    device.stop()

    assert len(made["class_scores"]) == 1001
    assert len(kept.scores) == 11
    assert "label 5" in kept.scores


@pytest.fixture
def many() -> Callable[[int], tuple[Colours, ModelBundle]]:
    """A classifier of that many labels, of which number 5 is good."""

    def make(count: int) -> tuple[Colours, ModelBundle]:
        info = TensorInfo("scores", (1, count), "float32")
        labels = tuple(f"label {number}" for number in range(count))

        class Many(Colours):
            outputs = (info,)

            def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
                del tensors
                return {"scores": np.linspace(0, 1, count, dtype=np.float32)[None]}

        task = Task("classification", labels)
        return Many(), bundle(task, (info,), Limits(good=("label 5",)))

    return make
