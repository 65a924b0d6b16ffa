"""Train the demo's classifier as people do it, and save it as a SavedModel.

Run as a program of its own, because one process loads one runtime:
`demo_model.py PHOTOS.npz SAVEDMODEL EPOCHS SEED`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

# Said before TensorFlow is imported: its start-up chatter helps nobody here.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

BATCH = 64
PEAK_RATE = 3e-3


def build(side_px: int, classes: int) -> keras.Model:
    """A small convolutional network: pixels 0..255 in, a score for each class out."""
    pixels = keras.Input((side_px, side_px, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    for filters, strides in ((16, 2), (24, 2), (32, 1), (48, 2), (64, 1), (64, 2)):
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU(6.0)(x)
    # The mean says how the whole part looks, the maximum keeps a flaw seen in one place.
    cells = x.shape[1]
    x = layers.Concatenate()([layers.AveragePooling2D(cells)(x), layers.MaxPooling2D(cells)(x)])
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return keras.Model(pixels, layers.Dense(classes, activation="softmax")(x))


def _turned(pixels: Any, label: Any) -> tuple[Any, Any]:
    """A part may lie any way round: mirrored and turned it is still the same part."""
    pixels = tf.image.random_flip_left_right(tf.image.random_flip_up_down(pixels))
    pixels = tf.cond(
        tf.random.uniform(()) < 0.5, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels
    )
    return tf.cast(pixels, tf.float32), label


def train(photos: Path, epochs: int, seed: int) -> keras.Model:
    """Train on the file's `train` part, and say how it does on its `validation` part."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    with np.load(photos) as arrays:
        pixels, labels = arrays["train"], arrays["train_labels"]
        unseen = arrays["validation"].astype(np.float32), arrays["validation_labels"]
    model = build(pixels.shape[1], int(labels.max()) + 1)
    steps = epochs * -(-len(pixels) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=PEAK_RATE, warmup_steps=steps // 20
    )
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", ["accuracy"])
    series = tf.data.Dataset.from_tensor_slices((pixels, labels)).shuffle(len(pixels), seed)
    series = series.map(_turned, num_parallel_calls=2).batch(BATCH).prefetch(2)
    model.fit(series, epochs=epochs, validation_data=unseen, verbose=2)
    return model


def main() -> None:
    """Train and export."""
    photos, target, epochs, seed = sys.argv[1:]
    model = train(Path(photos), int(epochs), int(seed))
    model.export(target, format="tf_saved_model", verbose=False)


if __name__ == "__main__":
    main()
