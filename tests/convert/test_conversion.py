"""Conversions with TensorFlow, from the command line to a proved file."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convert.__main__ import main
from convert.errors import Refused
from convert.source import Wish, picture_input
from convert.workbench import Workbench
from edge_app.inference.acceptance import prove
from edge_app.inference.bundle import read_bundle
from edge_app.inference.interpreter import installed_runtimes
from edge_app.inference.metadata import read_facts
from edge_app.inference.preprocess import Contract

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def test_a_saved_model_becomes_a_proved_file(
    models: Path, pictures: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Int8, the contract found by the labels, proved in each runtime, readable by other tools."""
    output, report = tmp_path / "hat.tflite", tmp_path / "hat.html"
    arguments = [str(models / "hat"), "--images", str(pictures), "--good", "middle"]
    status = main([*arguments, "-o", str(output), "--report", str(report), "--json"])
    said = capfd.readouterr()
    figures = json.loads(said.out)
    bundle = read_bundle(output)
    assert status == 0
    assert (figures["written"], figures["mode"]) == (True, "int8")
    assert bundle.spec.task.labels == ("middle", "outside")
    assert bundle.spec.contract == Contract("RGB", mean=(0.0,), std=(255.0,))
    assert bundle.spec.comparison["runtimes"].keys() == installed_runtimes().keys()
    assert bundle.golden is not None
    assert 16 <= len(bundle.golden) <= 32
    # TensorFlow's own words went to the log: what is left are our lines.
    assert not re.search(r"port\.cc|cuda|WARNING|Saved artifact", said.err)
    assert "TensorFlow" in (tmp_path / "hat.log").read_text()
    facts = read_facts(output.read_bytes())
    assert (facts.labels, facts.color, facts.std) == (("middle", "outside"), "RGB", (255.0,))
    page = report.read_text()
    assert "data:image/jpeg;base64," in page
    assert not re.search(r"(src|href)=.https?:", page)
    for runtime in installed_runtimes():
        assert prove(output, runtime=runtime).refusal == ""


def test_a_failed_gate_keeps_what_was_there(
    models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model run under the wrong contract does not reach the recall asked for."""
    output = tmp_path / "hat.tflite"
    output.write_bytes(b"the old one")
    arguments = [str(models / "hat"), "--images", str(pictures), "-o", str(output)]
    wrong = ["--range", "0..255", "--min-recall", "middle=0.9", "--mode", "int8"]
    status = main([*arguments, *wrong])
    said = capsys.readouterr().err
    assert status == 4
    assert output.read_bytes() == b"the old one"
    assert "recall of 'middle' is 0.0%, at least 90.0% is asked" in said
    assert "the labels speak against the preprocessing given" in said


def test_a_single_score_becomes_two(models: Path, pictures: Path, tmp_path: Path) -> None:
    """A Keras file with one sigmoid output gives out the scores of both labels."""
    output = tmp_path / "single.tflite"
    arguments = [str(models / "single.keras"), "--images", str(pictures), "--range", "0..1"]
    assert main([*arguments, "-o", str(output)]) == 0
    bundle = read_bundle(output)
    entry = next(iter(bundle.spec.comparison["runtimes"].values()))
    assert [tensor.shape for tensor in bundle.spec.outputs] == [(1, 2)]
    assert entry["accuracy"] == 1.0


def test_tensors_are_given_as_a_file(models: Path, tmp_path: Path) -> None:
    """A model with two inputs is calibrated and proved with arrays, and keeps some as its proof."""
    random = np.random.default_rng(0)
    samples = tmp_path / "samples.npz"
    np.savez(samples, a=random.normal(size=(80, 4)), b=random.normal(size=(80, 2)))
    output = tmp_path / "two.tflite"
    arguments = [str(models / "two_inputs"), "--samples", str(samples), "-o", str(output)]
    assert main(arguments) == 0
    bundle = read_bundle(output)
    assert (bundle.spec.mode, bundle.spec.task.kind) == ("int8", "raw")
    assert prove(output).refusal == ""


def test_a_picture_that_cant_be_read_is_left_out_and_named(
    models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The preprocessing is found by the others; the file is named once."""
    shutil.copytree(pictures, tmp_path / "pictures")
    (tmp_path / "pictures" / "middle" / "broken.png").write_bytes(b"no picture")
    output = tmp_path / "hat.tflite"
    arguments = [str(models / "hat"), "--images", str(tmp_path / "pictures")]
    assert main([*arguments, "--mode", "float32", "-o", str(output)]) == 0
    assert capsys.readouterr().err.count("warning: left out broken.png: ") == 1
    assert read_bundle(output).spec.contract == Contract("RGB", mean=(0.0,), std=(255.0,))


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("eight", "input 'eight' has shape [8, 16, 16, 3]: expected a batch of 1 or an open one"),
        ("hat.weights.h5", "hat.weights.h5 holds weights only"),
        ("two_inputs", "this one takes 'a' [1, 4], 'b' [1, 2]: give arrays for that"),
    ],
)
def test_models_that_cant_be_shown_the_pictures_are_refused(
    models: Path, pictures: Path, capsys: pytest.CaptureFixture[str], refused: str, said: str
) -> None:
    """Status 3, a sentence that says what was expected, and no file."""
    output = models / "x.tflite"
    assert main([str(models / refused), "--images", str(pictures), "-o", str(output)]) == 3
    assert said in capsys.readouterr().err
    assert not output.exists()


def test_a_model_that_answers_no_number_is_refused_as_it_is(
    models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Quantization is not blamed: the sentence says that the model itself gives NaN."""
    arguments = [str(models / "no_number"), "--images", str(pictures), "--range", "0..1"]
    assert main([*arguments, "-o", str(tmp_path / "x.tflite")]) == 3
    said = capsys.readouterr().err
    assert "the model as it was given answers 60 of 60 samples with what is no number" in said
    assert not (tmp_path / "x.tflite").exists()


def test_variables_that_would_not_be_restored_are_saved_anew(
    models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A `tf.Module` around a Keras 3 model answers as in Keras; a bare converter gives nonsense."""
    output = tmp_path / "x.tflite"
    arguments = [str(models / "wrapped"), "--images", str(pictures), "--mode", "float32"]
    assert main([*arguments, "-o", str(output)]) == 0
    assert "saved anew: 4 variables would not have been restored" in capsys.readouterr().err
    entry = next(iter(read_bundle(output).spec.comparison["runtimes"].values()))
    assert entry["accuracy"] == 1.0


def test_an_interrupted_conversion_leaves_nothing(
    models: Path, pictures: Path, tmp_path: Path
) -> None:
    """Ctrl-C reaches the whole group, as at a terminal: status 130, one sentence, no file."""
    scratch, output = tmp_path / "scratch", tmp_path / "x.tflite"
    scratch.mkdir()
    command = [sys.executable, "-m", "convert", str(models / "hat"), "--images", str(pictures)]
    process = subprocess.Popen(
        [*command, "-o", str(output), "--report", str(tmp_path / "x.html"), "--quiet"],
        env=os.environ | {"TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # The children of a test run in the background ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "x.log").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == "lineside-convert: interrupted; nothing was written"
    assert [path.name for path in tmp_path.iterdir() if path != scratch] == ["x.log"]
    assert not list(scratch.iterdir())


def test_every_mode_is_tried_and_the_one_asked_for_is_taken(
    models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others, smaller ones too, are only in the table."""
    arguments = [str(models / "hat"), "--images", str(pictures), "--range", "0..1", "--every-mode"]
    assert main([*arguments, "-o", str(tmp_path / "x.tflite"), "--json", "--mode", "float32"]) == 0
    figures = json.loads(capsys.readouterr().out)
    tried = {trial["mode"]: trial["passed"] for trial in figures["trials"]}
    assert tried.keys() == {"int8", "int8-mixed", "dynamic", "int16x8", "float16", "float32"}
    assert tried["int8"]
    assert figures["mode"] == "float32"


@pytest.mark.parametrize("model", ["hat", "single.keras"])
def test_one_sub_folder_does_not_name_two_classes(
    models: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    """The sentence points to the option that names all of them."""
    shutil.copytree(pictures / "middle", tmp_path / "pictures" / "middle")
    arguments = [str(models / model), "--images", str(tmp_path / "pictures"), "--range", "0..1"]
    assert main([*arguments, "-o", str(tmp_path / "x.tflite")]) == 3
    said = capsys.readouterr().err
    assert "the model tells 2 classes apart, the labels are middle: name all classes" in said
    assert "with --labels" in said


def test_channels_first_are_refused_by_name(bench: Workbench, models: Path) -> None:
    """The sentence names the tensor and says what to do."""
    source = bench.prepare(models / "nchw", "savedmodel")
    with pytest.raises(Refused, match=r"input 'turned' .* channels come first"):
        picture_input(source.inputs)


def test_open_sizes_are_asked_for_and_taken(bench: Workbench, models: Path) -> None:
    """A model without a size is refused by its tensor's name until one is given."""
    with pytest.raises(Refused, match="input 'any_size' has open sizes"):
        bench.prepare(models / "open", "savedmodel")
    wish = Wish(shapes={"any_size": (1, 20, 24, 3)})
    assert bench.prepare(models / "open", "savedmodel", wish).inputs[0].shape == (1, 20, 24, 3)


def test_several_signatures_are_listed(bench: Workbench, models: Path) -> None:
    """Without a default the sentence lists what there is; an unknown rank is asked for."""
    with pytest.raises(Refused, match=r"choose with --signature: first .*; second"):
        bench.prepare(models / "several", "savedmodel")
    with pytest.raises(Refused, match="input 'x' has an unknown rank"):
        bench.prepare(models / "several", "savedmodel", Wish(signature="first"))
    second = bench.prepare(models / "several", "savedmodel", Wish(signature="second"))
    assert second.inputs[0].shape == (1, 2)


def test_unknown_tags_and_shapes_are_refused(bench: Workbench, models: Path) -> None:
    """What the model does not have is not guessed."""
    with pytest.raises(Refused, match="no graph is tagged gpu; there are: serve"):
        bench.prepare(models / "hat", "savedmodel", Wish(tags=("gpu",)))
    with pytest.raises(Refused, match="no input is named nope; there are: picture"):
        bench.prepare(models / "hat", "savedmodel", Wish(shapes={"nope": (1,)}))
    with pytest.raises(Refused, match=r"'picture' has shape \[-1, 16, 16, 3\]; it can't be"):
        bench.prepare(models / "hat", "savedmodel", Wish(shapes={"": (1, 8, 8, 3)}))


def test_strings_are_refused(bench: Workbench, data: Callable[[str], Path]) -> None:
    """A signature that takes serialized examples can't run on a device."""
    path = data("saved_models/saved_model_half_plus_two_tf2_cpu") / "00000123"
    with pytest.raises(Refused, match="tensor 'inputs' carries strings"):
        bench.prepare(path, "savedmodel", Wish(signature="regress_x_to_y"))


def test_a_tensorflow_1_graph_is_frozen(data: Callable[[str], Path], tmp_path: Path) -> None:
    """Its variables, which the converter can't lift, become constants."""
    output = tmp_path / "half.tflite"
    source = data("saved_models/saved_model_half_plus_two_cpu")
    assert main([str(source), "-o", str(output), "--quiet"]) == 0
    golden = read_bundle(output).golden
    assert golden is not None
    (x,), (y,) = golden.inputs.values(), golden.float_outputs.values()
    assert np.allclose(y, x / 2 + 2, atol=1e-2)
