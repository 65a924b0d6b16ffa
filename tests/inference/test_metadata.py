"""What a `.tflite` file says of itself, read without a runtime."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.inference.adopt import without_zip
from edge_app.inference.metadata import read_facts


def fields(facts: object, *names: str) -> tuple[object, ...]:
    """Several fields at once."""
    return tuple(getattr(facts, name) for name in names)


def test_a_classifier_s_metadata_is_read(data: Path) -> None:
    """Labels from the zip, normalisation and colours from the flatbuffer."""
    path = data / "models" / "mobilenet_v1_0.25_224_1_metadata_1.tflite"

    facts = read_facts(path.read_bytes())

    assert facts.name == "MobileNetV1 image classifier"
    assert fields(facts, "color", "mean", "std") == ("RGB", (127.5,), (127.5,))
    assert len(facts.labels) == 1001
    assert facts.labels[:2] == ("background", "tench")
    assert facts.inputs[0].shape == (1, 224, 224, 3)
    assert facts.inputs[0].dtype == "float32"
    assert facts.operators["DEPTHWISE_CONV_2D v1"] == 13
    assert facts.files == ("labels.txt",)


def test_a_detector_s_border_and_operators_are_read(data: Path) -> None:
    """Output shapes that are not known before the first run are empty."""
    path = data / "models" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"

    facts = read_facts(path.read_bytes())

    assert facts.custom == ("TFLite_Detection_PostProcess",)
    assert [tensor.shape for tensor in facts.outputs] == [()] * 4
    assert fields(facts.inputs[0], "scale", "zero_point") == (0.0078125, 128)
    assert facts.labels[0] == "person"


@pytest.mark.parametrize(
    ("name", "custom"),
    [
        ("mobilenet_v1_0.25_128_quant_edgetpu", ("edgetpu-custom-op",)),
        ("coral_model_invoking_error", ("fake-op-double",)),
        ("person_detect", ()),
    ],
)
def test_files_that_no_runtime_takes_can_be_read(
    data: Path, name: str, custom: tuple[str, ...]
) -> None:
    """So that a person is told what is wrong with them."""
    content = (data / "models" / "refuse" / f"{name}.tflite").read_bytes()

    assert read_facts(content).custom == custom


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\xff\xd8\xff\xe0 a photo", bytes(64)])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    """By its first bytes."""
    with pytest.raises(ValueError, match="expected a TFLite model"):
        read_facts(content)


def test_damaged_models_are_refused_or_read_but_never_crash(data: Path) -> None:
    """Offsets that lead anywhere are noticed; 2000 damaged copies of two real files."""
    random = np.random.default_rng(11)
    for name in ("models/vww_96_int8.tflite", "cifar10/authors_int8.tflite"):
        content = (data / name).read_bytes()
        for _ in range(1000):
            broken = bytearray(content)
            # The structure stands at both ends, the weights in between.
            places = np.abs(random.normal(scale=3000, size=20)).astype(int) % len(content)
            for place in np.where(random.random(20) < 0.5, places, -1 - places):
                broken[int(place)] = int(random.integers(0, 256))
            try:
                read_facts(bytes(broken[: int(random.integers(8, len(broken) + 1))]))
            except ValueError:
                continue


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_may_follow_the_mark(content: bytes) -> None:
    """Small files find the corners that damaged large ones miss."""
    try:
        read_facts(b"\x10\x00\x00\x00TFL3" + content)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - most fail, and each must say why


def test_a_yolo_exporter_s_note_is_read(data: Path) -> None:
    """Its newer form is JSON, its older one a Python literal."""
    plain = (data / "models" / "vww_96_int8.tflite").read_bytes()
    note = {"task": "detect", "imgsz": [96, 96], "names": {0: "cap", 1: "scratch"}}
    for name, text in (("metadata.json", json.dumps(note)), ("temp_meta.txt", str(note))):
        buffer = io.BytesIO(plain)
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr(name, text)

        facts = read_facts(buffer.getvalue())

        assert facts.note["task"] == "detect"
        assert list(facts.note["names"].values()) == ["cap", "scratch"]
        assert without_zip(buffer.getvalue()) == plain


def test_a_code_in_place_of_a_note_is_not_run(data: Path) -> None:
    """Only literals are read."""
    buffer = io.BytesIO((data / "models" / "vww_96_int8.tflite").read_bytes())
    buffer.seek(0, 2)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("temp_meta.txt", "{'names': __import__('os').getcwd()}")

    assert read_facts(buffer.getvalue()).note == {}


def test_a_side_file_that_unpacks_to_far_more_is_left_alone(data: Path) -> None:
    """A label list of gigabytes is none."""
    buffer = io.BytesIO((data / "models" / "vww_96_int8.tflite").read_bytes())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", b"\n" * 8_000_000)

    assert read_facts(buffer.getvalue()).labels == ()
