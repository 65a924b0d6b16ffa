"""Model files from elsewhere over HTTP: what is told of them, and how they are measured."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from device import Device

import edge_app
from edge_app.inference.bundle import read_bundle
from edge_app.inference.tune import Row, Tuning, fingerprint

DEMO = Path(edge_app.__file__).parent / "demo" / "model.tflite"
"""Its flatbuffer alone says nothing of itself: a file from elsewhere."""


def test_a_file_from_elsewhere_is_described_by_who_sends_it(device: Device) -> None:
    """By the words of `lineside models add`, in a form or in the address."""
    content = read_bundle(DEMO).flatbuffer
    classes = len(read_bundle(DEMO).spec.task.labels)
    labels = "\n".join(f"kind {number}" for number in range(classes))
    fields = {"labels": labels, "good": "kind 1", "resize": "letterbox", "mean": "0", "std": "255"}

    form = {**fields, "model": (io.BytesIO(content), "part.tflite")}
    sent = device.client.post("/api/v1/models", data=form)
    as_file = {
        "model": (io.BytesIO(content), "part.tflite"),
        "labels": (io.BytesIO(labels.encode()), "labels.txt"),
    }
    addressed = device.client.post(
        "/api/v1/models?name=part&good=kind 1&resize=letterbox&mean=0&std=255", data=as_file
    )

    assert sent.status_code == addressed.status_code == 201, addressed.get_json()
    assert sent.get_json()["task"] == "classification"
    assert not any("--resize" in sentence for sentence in sent.get_json()["assumed"])
    assert addressed.get_json()["version"] == sent.get_json()["version"]
    spec = device.store.load(device.store.version("part", 1)).spec
    assert (spec.task.labels[1], spec.limits.good) == ("kind 1", ("kind 1",))
    assert spec.contract is not None
    assert (spec.contract.resize, spec.contract.std) == ("letterbox", (255.0,))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("task=magic", "task: expected classification"),
        ("resize=fold", "resize: expected stretch, crop, letterbox; got 'fold'"),
        ("std=0", "std: expected one number"),
        ("mean=1,x", "mean: expected one number"),
    ],
)
def test_what_cannot_be_meant_is_refused(device: Device, query: str, sentence: str) -> None:
    """With what was expected and what came."""
    reply = device.client.post(f"/api/v1/models?{query}", data=b"TFL3....")

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (400, "bad_description")
    assert sentence in reply.get_json()["error"]["message"]


def test_a_version_is_measured_over_the_network(device: Device) -> None:
    """The table is the answer, kept beside the model and shown with it."""
    missing = "an operator is missing"
    rows = (Row("litert", 1, 3.0, 4.0, 9), Row("tflite-runtime", 1, problem=missing))
    device.store._tune = lambda path: Tuning(fingerprint(), read_bundle(path).sha256, 1.0, rows)

    reply = device.client.post("/api/v1/models/colours/versions/1/tune")

    told = reply.get_json()["tuning"]["rows"]
    assert [(row["runtime"], row["p90_ms"], row["problem"]) for row in told] == [
        ("litert", 4.0, ""),
        ("tflite-runtime", 0.0, missing),
    ]
    assert device.client.get("/api/v1/models/colours").get_json()["tuning"]["rows"] == told
