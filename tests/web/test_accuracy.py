"""A stranger's Keras network keeps its accuracy all the way to the answer of `POST /predict`."""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from lone_app import LoneApp, lone_app

from edge_app.models import ModelStore

CIFAR = Path(__file__).parents[3] / "shared" / "data" / "cifar10"
LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

FLOAT_ACCURACY = """
import json, pathlib, sys
import keras, numpy as np
from PIL import Image
network, pictures, saved = sys.argv[1:4]
labels = sys.argv[4:]
model = keras.models.load_model(network, compile=False)
model.export(saved, verbose=False)
paths = sorted(pathlib.Path(pictures).glob("*/*"))
batch = np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32) for path in paths])
guesses = model.predict(batch, verbose=0).argmax(axis=1)
right = [labels[guess] == path.parent.name for guess, path in zip(guesses, paths, strict=True)]
print(json.dumps(float(np.mean(right))))
"""

log = logging.getLogger(__name__)

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.skipif(not CIFAR.is_dir(), reason="needs ../shared/data"),
    pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs TensorFlow"),
]


def uploaded_accuracy(app: LoneApp) -> float:
    """Share of the pictures that the app names rightly."""
    paths = sorted(CIFAR.glob("images/*/*"))
    answers = [app.predict(path.read_bytes())["predicted_class"] for path in paths]
    right = [name == path.parent.name for name, path in zip(answers, paths, strict=True)]
    return sum(right) / len(right)


def test_int8_is_as_right_as_float(tmp_path: Path) -> None:
    """Converted by us and asked over HTTP, it is within half a point of the float network."""
    saved, model = tmp_path / "saved", tmp_path / "resnet8.tflite"
    network = [str(CIFAR / "pretrainedResnet.h5"), str(CIFAR / "images"), str(saved)]
    float_run = subprocess.run(
        [sys.executable, "-c", FLOAT_ACCURACY, *network, *LABELS],
        check=True,
        capture_output=True,
        text=True,
    )
    float_accuracy = json.loads(float_run.stdout.strip().splitlines()[-1])
    convert = [sys.executable, "-m", "convert", str(saved), "-o", str(model), "--quiet"]
    contract = ["--images", str(CIFAR / "images"), "--mode", "int8", "--range", "0..255"]
    subprocess.run([*convert, *contract, "--preprocess", "trust"], check=True)
    store = ModelStore(tmp_path / "data" / "models")
    version = store.add(model)
    store.activate(version.name, version.version, measure=False)

    with lone_app(tmp_path / "data") as app:
        int8_accuracy = uploaded_accuracy(app)

    measured = f"float {float_accuracy:.1%}, int8 through POST /predict {int8_accuracy:.1%}"
    log.info(measured)
    assert float_accuracy > 0.7, measured
    assert abs(float_accuracy - int8_accuracy) <= 0.005 + 1e-9, measured
