"""Taking in `.tflite` files and refusing what can't be used, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.errors import Refused
from convert.source import labels_beside, locate, picture_input
from convert.tflite_metadata import with_metadata
from edge_app.inference.bundle import read_bundle
from edge_app.inference.interpreter import installed_runtimes
from edge_app.inference.metadata import read_facts
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import TensorInfo


def test_a_foreign_model_is_packaged_and_proved(
    data: Callable[[str], Path], tmp_path: Path
) -> None:
    """The bundle has the user's pictures as its proof and figures of each runtime."""
    model, output = data("models/vww_96_int8.tflite"), tmp_path / "person.tflite"
    labels = tmp_path / "names.txt"
    labels.write_text("nobody\nperson\n")
    arguments = [str(model), "--images", str(data("casting/ok")), "--labels", str(labels)]
    assert main([*arguments, "--compare", "20", "--quiet", "-o", str(output)]) == 0
    bundle = read_bundle(output)
    assert bundle.golden is not None
    assert bundle.spec.task.labels == ("nobody", "person")
    assert bundle.spec.comparison["runtimes"].keys() == installed_runtimes().keys()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("coral_model_invoking_error", "not part of TFLite: fake-op-double"),
        ("mobilenet_v1_0.25_128_quant_edgetpu", "compiled for an Edge TPU"),
        ("nl_classifier_string_input_customop", "holds string"),
    ],
)
def test_models_no_device_can_run_are_refused(
    data: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    said: str,
) -> None:
    """Status 3 and one sentence; no file is left."""
    model, output = data(f"models/refuse/{name}.tflite"), tmp_path / "x.tflite"
    status = main([str(model), "--images", str(data("casting/ok")), "-o", str(output)])
    (sentence,) = capsys.readouterr().err.strip().splitlines()
    assert status == 3
    assert said in sentence
    assert not output.exists()


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((8, 16, 16, 3), r"input 'x' .*: expected a batch of 1 or an open one, got .* of 8"),
        ((1, 3, 16, 16), "input 'x' .* channels come first"),
    ],
)
def test_forms_of_pictures_no_device_makes_are_refused(shape: tuple[int, ...], said: str) -> None:
    """The sentence names the tensor."""
    with pytest.raises(Refused, match=said):
        picture_input((TensorInfo("x", shape, "float32"),))


def test_pictures_for_a_model_that_takes_none_are_refused(
    data: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are not passed over in favour of random numbers."""
    output = tmp_path / "x.tflite"
    model, images = data("models/ad01_int8.tflite"), data("casting/ok")
    assert main([str(model), "--images", str(images), "-o", str(output), "--quiet"]) == 3
    assert "give arrays for that with --samples" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nothing", "there is no "),
        ("empty", "holds no saved_model.pb"),
        ("notes.txt", "expected a SavedModel folder, .keras, .h5 or .tflite"),
        ("text", "a SavedModel in text form"),
        ("text.keras", "text.keras is no Keras model: expected a zip inside"),
        ("text.h5", "text.h5 is no Keras model: expected HDF5 inside"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, source: str, said: str) -> None:
    """The sentence says what was expected."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "saved_model.pbtxt").touch()
    (tmp_path / "notes.txt").touch()
    for name in ("text.keras", "text.h5"):
        (tmp_path / name).write_text("no model")
    with pytest.raises(Refused, match=said):
        locate(tmp_path / source)


def test_the_newest_version_folder_is_taken(tmp_path: Path) -> None:
    """The layout of TensorFlow Serving is understood, by number and not by name."""
    for version in ("9", "10"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "saved_model.pb").touch()
    path, kind, notes = locate(tmp_path)
    assert (path.name, kind) == ("10", "savedmodel")
    assert "version 10" in notes[0]


def test_labels_exported_with_the_model_are_found(tmp_path: Path) -> None:
    """Teachable Machine puts them beside `model.savedmodel` or `keras_model.h5`."""
    model = tmp_path / "model.savedmodel"
    model.mkdir()
    assert labels_beside(model) is None
    (tmp_path / "labels.txt").write_text("0 ok\n1 bad\n")
    assert labels_beside(model) == tmp_path / "labels.txt"
    assert labels_beside(tmp_path / "keras_model.h5") == tmp_path / "labels.txt"
    assert labels_beside(tmp_path / "other.h5") is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "x.bin"], "expected an output that ends in .tflite"),
        (["-o", "/no/such/folder/x.tflite"], "there is no folder /no/such/folder"),
        # Not even root makes a file there.
        (["-o", "/proc/x.tflite"], "nothing can be written to /proc"),
        (["-o", "x.tflite", "--report", "/proc/x.html"], "nothing can be written to /proc"),
    ],
)
def test_a_wrong_output_is_refused_before_any_work(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Nobody waits for a conversion that could not be written."""
    assert main(["model", *arguments]) == 3
    assert said in capsys.readouterr().err


def test_metadata_replaces_what_was_there(data: Callable[[str], Path]) -> None:
    """Colour order and normalisation of the contract are read back from the flatbuffer."""
    flatbuffer = data("models/vww_96_int8.tflite").read_bytes()
    task = Task("classification", ("nobody", "person"))
    once = with_metadata(flatbuffer, "first", task, Contract("GREY"))
    twice = with_metadata(once, "second", task, Contract("RGB", mean=(1, 2, 3), std=(4, 5, 6)))
    facts = read_facts(twice)
    assert (facts.name, facts.color) == ("second", "RGB")
    assert (facts.mean, facts.std) == ((1, 2, 3), (4, 5, 6))
    assert read_facts(flatbuffer).operators == facts.operators
