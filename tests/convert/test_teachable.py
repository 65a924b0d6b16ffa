"""What Teachable Machine exports for Keras: a network of Keras 2, nested, with its labels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.__main__ import main
from edge_app.inference.bundle import read_bundle
from edge_app.inference.interpreter import installed_runtimes

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

MAKE = '''
"""Keras 2 in a process of its own; the layers are nested as Teachable Machine nests them."""
import sys
from pathlib import Path
import numpy as np
import tf_keras as keras

folder = Path(sys.argv[1])
keras.utils.set_random_seed(1)
body = keras.applications.MobileNetV2((224, 224, 3), alpha=0.35, include_top=False, weights=None)
network = keras.Sequential([
    keras.Sequential([body, keras.layers.GlobalAveragePooling2D()]),
    keras.Sequential([
        keras.layers.Dense(100, activation="relu", input_shape=(1280,)),
        keras.layers.Dense(2, use_bias=False, activation="softmax"),
    ]),
])
network.build((None, 224, 224, 3))
pictures = np.load(folder / "pictures.npy") / np.float32(127.5) - 1
for layer in body.layers:
    layer.momentum = 0.0
network(pictures, training=True)  # without it the signal dies in a network that learned nothing
np.save(folder / "answers.npy", network(pictures).numpy())
network.save(folder / "keras_model.h5")
network.save(folder / "two.keras")
trap = keras.Sequential([keras.layers.Lambda(lambda x: x + 1, input_shape=(8, 8, 3))])
trap.save(folder / "trap.h5")
'''


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as Teachable Machine zips it, the network in Keras 2's own form, and pictures."""
    folder = tmp_path_factory.mktemp("teachable")
    (folder / "labels.txt").write_text("0 Good\n1 Scratched\n", encoding="utf-8")
    pictures = np.random.default_rng(1).integers(0, 256, (20, 224, 224, 3), np.uint8)
    pictures //= np.arange(1, 21, dtype=np.uint8).reshape(20, 1, 1, 1)
    np.save(folder / "pictures.npy", pictures)
    (folder / "photos").mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), picture[..., ::-1])
    subprocess.run([sys.executable, "-c", MAKE, str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", ["keras_model.h5", "two.keras"])
def test_a_network_of_keras_2_is_converted(exported: Path, tmp_path: Path, name: str) -> None:
    """It is proved in each runtime, answers as it did in Keras 2, and has the labels beside it."""
    output = tmp_path / "model.tflite"
    arguments = [
        str(exported / name),
        "--images",
        str(exported / "photos"),
        "--range",
        "-1..1",
        "--quiet",
    ]
    arguments += ["--mode", "float32"]
    if name == "two.keras":
        arguments += ["--labels", str(exported / "labels.txt")]

    assert main([*arguments, "-o", str(output)]) == 0

    bundle = read_bundle(output)
    assert bundle.golden is not None
    (inputs,), (outputs,) = bundle.golden.inputs.values(), bundle.golden.float_outputs.values()
    pictures = list(np.load(exported / "pictures.npy"))
    places = [next(i for i, p in enumerate(pictures) if np.array_equal(p, x)) for x in inputs]
    answers = np.load(exported / "answers.npy")
    assert np.ptp(answers[:, 0]) > 0.1
    assert outputs.reshape(-1, 2) == pytest.approx(answers[places], abs=1e-3)
    assert bundle.spec.task.labels == ("Good", "Scratched")
    assert bundle.spec.comparison["runtimes"].keys() == installed_runtimes().keys()


def test_code_in_a_file_of_keras_2_is_not_run(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Lambda layer holds Python code; a file with one is refused in one sentence."""
    output = tmp_path / "model.tflite"

    assert main([str(exported / "trap.h5"), "-o", str(output), "--quiet"]) == 3

    (sentence,) = capsys.readouterr().err.strip().splitlines()
    assert "Keras can't read trap.h5" in sentence
    assert not output.exists()
