"""Make the bench's model: MobileNetV2 at 224 x 224 with seeded random weights.

Runs in the baselines' environment. Speed does not depend on what the weights say, and
random ones need no download and no licence. Writes a SavedModel and, as the tutorials
do it, an int8 TFLite model of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

SIDE_PX = 224
SAMPLES = 12


def samples(frames: Path) -> Iterator[list[Any]]:
    """Calibration pictures, pixels 0..255."""
    for path in sorted(frames.glob("*.jpg"))[:SAMPLES]:
        picture = Image.open(path).convert("RGB").resize((SIDE_PX, SIDE_PX))
        yield [np.asarray(picture, dtype=np.float32)[None]]


def main(folder: Path, frames: Path) -> None:
    """Write `saved_model/`, `model_int8.tflite` and `model_float.tflite` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tf.keras.utils.set_random_seed(1)
    inputs = tf.keras.Input((SIDE_PX, SIDE_PX, 3), batch_size=None, name="image")
    scaled = tf.keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    network = tf.keras.applications.MobileNetV2(
        input_shape=(SIDE_PX, SIDE_PX, 3), weights=None, classes=1000
    )
    model = tf.keras.Model(inputs, network(scaled))
    model.export(str(folder / "saved_model"))
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model"))
    (folder / "model_float.tflite").write_bytes(converter.convert())
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model"))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: samples(frames)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    (folder / "model_int8.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
