"""Pictures whose colour tells their label, and models made to know it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.console import Console
from convert.workbench import Workbench

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

MAKE_MODELS = '''
"""Runs in a process of its own: TensorFlow and the runtimes can't share one."""
import sys
from pathlib import Path
import keras
import numpy as np
import tensorflow as tf

folder = Path(sys.argv[1])

def hat(inputs, channels=3):
    """Knows whether the mean red lies near one half, of pictures in RGB from 0 to 1."""
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    bumps = keras.layers.Dense(3, activation="relu")
    values = bumps(mean)
    weights = np.zeros((channels, 3), np.float32)
    weights[0] = 1
    bumps.set_weights([weights, np.array([-0.3, -0.5, -0.7], np.float32)])
    return values

def logits(values, units):
    last = keras.layers.Dense(units)
    given = last(values)
    rise = np.array([[1.0], [-2.0], [1.0]], np.float32) * 60
    weights = np.concatenate([rise, -rise], 1) if units == 2 else -rise
    bias = np.array([-6.0, 6.0]) if units == 2 else np.array([6.0])
    last.set_weights([weights, bias.astype(np.float32)])
    return given

picture = keras.Input((16, 16, 3), name="picture")
scores = keras.layers.Softmax()(logits(hat(picture), 2))
keras.Model(picture, scores).export(str(folder / "hat"), verbose=False)

picture = keras.Input((16, 16, 3), name="picture")
keras.Model(picture, keras.layers.Activation("sigmoid")(logits(hat(picture), 1))).save(
    folder / "single.keras")

picture = keras.Input((16, 16, 3), name="picture")
keras.Model(picture, hat(picture)).save_weights(folder / "hat.weights.h5")

turned = keras.Input((3, 16, 16), name="turned")
keras.Model(turned, hat(keras.layers.Permute((2, 3, 1))(turned))).export(
    str(folder / "nchw"), verbose=False)

open_size = keras.Input((None, None, 3), name="any_size")
keras.Model(open_size, hat(open_size)).export(str(folder / "open"), verbose=False)

a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
joined = keras.layers.Dense(3)(keras.layers.Concatenate()([a, b]))
keras.Model([a, b], joined).export(str(folder / "two_inputs"), verbose=False)

class Several(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def first(self, x):
        return {"y": x + 1}
    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def second(self, x):
        return {"y": x * 2}

class Eight(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([8, 16, 16, 3], tf.float32, name="eight")])
    def call(self, eight):
        return {"y": tf.reduce_mean(eight, [1, 2])[:, :2]}

eight = Eight()
tf.saved_model.save(eight, str(folder / "eight"), signatures={"serving_default": eight.call})

class NoNumber(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32, name="picture")])
    def call(self, picture):
        return {"y": tf.math.log(-1 - tf.reduce_mean(picture, [1, 2]))[:, :2]}

no_number = NoNumber()
tf.saved_model.save(no_number, str(folder / "no_number"),
                    signatures={"serving_default": no_number.call})

class Wrapped(tf.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
    @tf.function(input_signature=[tf.TensorSpec([None, 16, 16, 3], tf.float32, name="picture")])
    def call(self, picture):
        return {"scores": self.network(picture)}

picture = keras.Input((16, 16, 3))
wrapped = Wrapped(keras.Model(picture, keras.layers.Softmax()(logits(hat(picture), 2))))
tf.saved_model.save(wrapped, str(folder / "wrapped"),
                    signatures={"serving_default": wrapped.call})

several = Several()
tf.saved_model.save(several, str(folder / "several"),
                    signatures={"first": several.first, "second": several.second})
'''


def _needs_tensorflow() -> None:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keras and SavedModel files by the names in `MAKE_MODELS`."""
    _needs_tensorflow()
    folder = tmp_path_factory.mktemp("models")
    (folder / "make.py").write_text(MAKE_MODELS, encoding="utf-8")
    subprocess.run(
        [sys.executable, str(folder / "make.py"), str(folder)], check=True, capture_output=True
    )
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures: `middle` with red near one half, `outside` with little or much red."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(1)
    for label, reds in (("middle", (118, 138)), ("outside", (20, 70))):
        (folder / label).mkdir()
        for number in range(30):
            red = random.integers(*reds)
            if label == "outside" and number % 2:
                red = 255 - red
            # Blue is the other label's red, so that a wrong colour order is wrong throughout.
            blue = random.integers(20, 60) if label == "middle" else random.integers(118, 138)
            image = np.full((16, 16, 3), (blue, 100, red), dtype=np.uint8)
            image = (image + random.integers(-4, 5, image.shape)).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / label / f"{number:02}.png"), image)
    return folder


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A workbench whose TensorFlow has started."""
    _needs_tensorflow()
    log = tmp_path_factory.mktemp("bench") / "noise.log"
    with Workbench(log, Console(quiet=True)) as made:
        yield made


@pytest.fixture
def data() -> Callable[[str], Path]:
    """Real inputs by name; skips where they are absent."""

    def find(name: str) -> Path:
        if not (DATA / name).exists():
            pytest.skip(f"no real data: {name} is not beside the project")
        return DATA / name

    return find
