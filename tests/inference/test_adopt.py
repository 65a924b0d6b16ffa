"""Foreign files become model files of ours, or are refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_app.inference.acceptance import prove
from edge_app.inference.adopt import CannotAdopt, adopt
from edge_app.inference.bundle import pack_bundle, write_bundle
from edge_app.inference.guess import Told, distinct, guess_task
from edge_app.inference.metadata import FileFacts
from edge_app.inference.tensor import TensorInfo


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("models/mobilenet_v1_0.25_224_quant", ("classification", 1001, (128.0,))),
        ("models/mobilenet_v1_0.25_224_1_metadata_1", ("classification", 1001, (127.5,))),
        ("models/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29", ("detection", 90, (128.0,))),
        ("models/vww_96_int8", ("classification", 2, (0.0,))),
        ("models/ad01_int8", ("autoencoder", 0, None)),
        ("cifar10/authors_int8", ("classification", 10, (0.0,))),
    ],
)
def test_real_files_are_usable_as_they_are(
    data: Path, tmp_path: Path, name: str, expected: tuple[object, ...]
) -> None:
    """Task, labels and normalisation come from the file; the golden set proves it afterwards."""
    bundle = adopt((data / f"{name}.tflite").read_bytes(), "model")
    write_bundle(tmp_path / "model.tflite", bundle)

    task, contract = bundle.spec.task, bundle.spec.contract
    assert (task.kind, len(task.labels), contract.mean if contract else None) == expected
    proof = prove(tmp_path / "model.tflite", budget_ms=5000)
    assert proof.refusal == ""
    assert proof.samples == 3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("coral_model_invoking_error", "operators that are not part of TFLite: fake-op-double"),
        ("flex_delegate_whitespace_tokenizer", "holds string; expected numbers"),
        ("mobilenet_v1_0.25_128_quant_edgetpu", "compiled for an Edge TPU"),
        ("nl_classifier_string_input_customop", "holds string; expected numbers"),
        ("person_detect", "can't be run here: .* quantized_dimension must be in range"),
    ],
)
def test_files_that_can_not_run_are_refused_with_a_sentence(
    data: Path, name: str, sentence: str
) -> None:
    """In this process nothing happens to them; the child that ran them is gone."""
    content = (data / "models" / "refuse" / f"{name}.tflite").read_bytes()

    with pytest.raises(CannotAdopt, match=sentence) as refusal:
        adopt(content, "model")

    assert len(str(refusal.value)) < 300
    assert "\n" not in str(refusal.value)


def test_what_a_person_says_goes_first(data: Path) -> None:
    """Over the file, and over what would be assumed."""
    content = (data / "models" / "vww_96_float.tflite").read_bytes()
    told = Told(
        labels=("nobody", "somebody"),
        good=("nobody",),
        color="BGR",
        resize="letterbox",
        kernel="cubic",
        mean=(1.0, 2.0, 3.0),
        std=(4.0,),
        activation="softmax",
    )

    spec = adopt(content, "vww", told, source="vww.tflite").spec

    assert spec.task.labels == ("nobody", "somebody")
    assert spec.task.activation == "softmax"
    assert spec.limits.good == ("nobody",)
    assert spec.contract is not None
    assert spec.contract.to_json() == {
        "color": "BGR",
        "resize": "letterbox",
        "kernel": "cubic",
        "mean": [1.0, 2.0, 3.0],
        "std": [4.0],
    }
    assert spec.made["source"] == "vww.tflite"


def test_what_nobody_said_is_noted(data: Path) -> None:
    """A float model without metadata: how its pixels are normalised is a guess."""
    spec = adopt((data / "models" / "vww_96_float.tflite").read_bytes(), "vww").spec

    assert any("pixels become 0 to 1" in sentence for sentence in spec.made["assumed"])
    assert spec.task.labels == ("class 0", "class 1")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (Told(labels=("a", "b", "c", "d")), "tells 2 classes apart; 4 labels were given"),
        (Told(good=("perfect",)), "good labels the model does not have: perfect"),
        (Told(task="detection"), "can't be read without its labels"),
        (Told(task="autoencoder"), "output has its input's shape"),
        (Told(std=(0.0,)), "std not 0"),
        (Told(color="GREY"), "a GREY picture needs"),
    ],
)
def test_what_does_not_fit_is_refused(data: Path, told: Told, sentence: str) -> None:
    """The sentence tells what the model has and what was said."""
    content = (data / "models" / "vww_96_int8.tflite").read_bytes()

    with pytest.raises(CannotAdopt, match=sentence):
        adopt(content, "vww", told)


def test_the_same_file_and_words_give_the_same_bundle(data: Path) -> None:
    """So adding it twice is adding it once."""
    content = (data / "models" / "vww_96_int8.tflite").read_bytes()

    assert pack_bundle(adopt(content, "vww")) == pack_bundle(adopt(content, "vww"))


def test_a_model_that_takes_too_much_memory_is_refused(data: Path) -> None:
    """The child has a limit, and reaching it is a sentence too."""
    content = (data / "models" / "mobilenet_v2_1.0_224_quant.tflite").read_bytes()

    with pytest.raises(CannotAdopt, match=r"can't be run here"):
        adopt(content, "v2", memory_bytes=70_000_000)


def test_labels_that_stand_twice_are_told_apart() -> None:
    """ImageNet has two cranes: a bird and a machine."""
    assert distinct(("crane", "", "crane", "???", "???")) == (
        "crane",
        "class 1",
        "crane (2)",
        "???",
        "??? (4)",
    )


def facts(labels: int = 0, note: dict[str, object] | None = None) -> FileFacts:
    """A file with so many labels."""
    names = tuple(f"l{place}" for place in range(labels))
    return FileFacts(3, "", (), (), {}, (), labels=names, note=note or {})


PICTURE = (TensorInfo("image", (1, 64, 64, 3), "float32"),)
SIGNAL = (TensorInfo("signal", (1, 640), "float32"),)


@pytest.mark.parametrize(
    ("inputs", "shape", "labels", "kind", "layout"),
    [
        (PICTURE, (1, 7), 0, "classification", ""),
        (PICTURE, (1, 7), 6, "classification", ""),
        (PICTURE, (1, 84, 8400), 80, "detection", "yolo"),
        (PICTURE, (1, 6300, 85), 80, "detection", "yolo"),
        (PICTURE, (1, 16, 16, 3), 3, "segmentation", ""),
        (PICTURE, (1, 16, 16, 1), 0, "anomaly", ""),
        (PICTURE, (1, 16, 16), 0, "anomaly", ""),
        (PICTURE, (1, 64, 64, 3), 0, "autoencoder", ""),
        (SIGNAL, (1, 640), 0, "autoencoder", ""),
        (SIGNAL, (1, 3), 0, "raw", ""),
    ],
)
def test_the_task_is_told_from_the_shapes(
    inputs: tuple[TensorInfo, ...], shape: tuple[int, ...], labels: int, kind: str, layout: str
) -> None:
    """Where neither file nor person says it, and noted as assumed."""
    assumed: list[str] = []
    answers = {"out": np.random.default_rng(1).random((3, *shape), dtype=np.float32)}

    task = guess_task(facts(labels), Told(), inputs, answers, assumed)

    assert (task.kind, task.layout) == (kind, layout)
    assert any(kind in sentence for sentence in assumed)


@pytest.mark.parametrize(("size", "unit"), [(1.0, "normalised"), (64.0, "pixels")])
def test_a_yolo_s_unit_is_told_from_its_boxes(size: float, unit: str) -> None:
    """Its note gives the names; the first run gives the sizes."""
    names = facts(note={"task": "detect", "names": {0: "cap", 1: "scratch"}})
    answers = {"out": np.random.default_rng(1).random((3, 1, 6, 300), dtype=np.float32) * size}

    task = guess_task(names, Told(), PICTURE, answers, [])

    assert task.box_unit == unit
    assert task.labels == ("cap", "scratch")


@pytest.mark.parametrize(("top", "activation"), [(1.0, "none"), (9.0, "softmax")])
def test_outputs_beyond_one_still_need_a_softmax(top: float, activation: str) -> None:
    """Scores lie between 0 and 1; anything else comes from before the last layer."""
    answers = {"out": np.full((3, 1, 4), top, np.float32)}

    assert guess_task(facts(4), Told(), PICTURE, answers, []).activation == activation
