"""A stranger's Keras network keeps its accuracy all the way to the answer of `POST /predict`."""

from __future__ import annotations

import http.client
import importlib.util
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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


@contextmanager
def running_app(data_dir: Path) -> Iterator[http.client.HTTPConnection]:
    """`lineside-app` on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = os.environ | {
        "LINESIDE_DATA__DIR": json.dumps(str(data_dir)),
        "LINESIDE_APP__PORT": str(port),
    }
    app = subprocess.Popen([sys.executable, "-m", "edge_app"], env=environ)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        ends_at = time.monotonic() + 30
        while connection.sock is None:
            try:
                connection.connect()
            except ConnectionRefusedError:
                assert time.monotonic() < ends_at, "the app did not start"
                time.sleep(0.1)
        yield connection
    finally:
        connection.close()
        app.send_signal(signal.SIGTERM)
        app.wait(10)


def uploaded_accuracy(connection: http.client.HTTPConnection) -> float:
    """Share of the pictures that the app names rightly."""
    right = 0
    paths = sorted(CIFAR.glob("images/*/*"))
    for path in paths:
        # What is measured here is accuracy, on however busy a machine.
        headers = {"Content-Type": "image/jpeg", "X-Deadline-Ms": "10000"}
        connection.request("POST", "/predict", path.read_bytes(), headers)
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        assert reply.status == 200, answer
        right += answer["predicted_class"] == path.parent.name
    return right / len(paths)


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

    with running_app(tmp_path / "data") as connection:
        int8_accuracy = uploaded_accuracy(connection)

    measured = f"float {float_accuracy:.1%}, int8 through POST /predict {int8_accuracy:.1%}"
    log.info(measured)
    assert float_accuracy > 0.7, measured
    assert abs(float_accuracy - int8_accuracy) <= 0.005 + 1e-9, measured
