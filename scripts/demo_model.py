"""Train the demo's classifier with Keras, and save it as a SavedModel.

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
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

BATCH = 32
PEAK_RATE = 3e-3
BLOCKS = ((16, 2), (16, 1), (32, 2), (32, 1), (48, 2), (48, 1), (48, 1))
CELL_PX = 8
"""A cell of the network's last layer covers so many pixels of its input, each way."""

SEEN_LEVELS, SEEN_PX = 16, 3
"""A cell is flawed where so many of its pixels differ by more grey levels than that."""

FLAW_WEIGHT = 8.0
"""A flaw fills few of a picture's cells; each counts as much as so many sound ones."""

SCORE_WEIGHT, WHERE_WEIGHT = 0.3, 10.0
"""Where a flaw is teaches more, and earlier, than that there is one somewhere."""


def build(side_px: int, classes: int) -> keras.Model:
    """A small convolutional network: grey pixels 0..255 in; class scores and flaw map out."""
    pixels = keras.Input((side_px, side_px, 1), name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    for filters, strides in BLOCKS:
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU(6.0)(x)
    # To begin with, no cell is flawed.
    rare = keras.initializers.Constant(-2.0)
    where = layers.Conv2D(classes - 1, 1, name="where", bias_initializer=rare)(x)
    # One bad cell makes a bad part.
    worst = layers.GlobalMaxPooling2D()(where)
    score = layers.Dense(classes, activation="softmax", name="score")(worst)
    model = keras.Model(pixels, {"score": score, "where": where})
    # And a part is of the class of its worst cell, or good where none is bad.
    model.get_layer("score").set_weights([np.eye(classes)[1:], np.zeros(classes)])
    return model


def flaw_maps(scenes: Pixels) -> NDArray[np.float32]:
    """Flawed cells by kind: where a photograph differs from the good part's of its scene.

    Args:
        scenes: Scenes x classes x side x side x 1; the first class is good.

    Returns:
        Scenes x classes x cells x cells x kinds of flaw.
    """
    count, classes, side, *_ = scenes.shape
    cells = side // CELL_PX
    differs = np.abs(scenes.astype(np.int16) - scenes[:, :1]) > SEEN_LEVELS
    grid = differs.reshape(count, classes, cells, CELL_PX, cells, CELL_PX)
    flawed = grid.sum(axis=(3, 5)) >= SEEN_PX
    kinds = np.eye(classes, dtype=np.float32)[:, 1:]
    maps: NDArray[np.float32] = flawed[..., None] * kinds[:, None, None, :]
    return maps


def flaw_loss(true: Any, said: Any) -> Any:
    """Cross entropy of the flaw map, flawed cells weighted."""
    return tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(true, said, FLAW_WEIGHT))


def train(photos: Path, epochs: int, seed: int) -> keras.Model:
    """Learn from whole pictures; returns the model of class scores alone."""
    keras.utils.set_random_seed(seed)
    data = np.load(photos)
    scenes = data["train"]
    count, classes, side, *_ = scenes.shape
    model = build(side, classes)
    steps = count * classes // BATCH
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * steps, warmup_target=PEAK_RATE, warmup_steps=steps
    )
    model.compile(
        keras.optimizers.Adam(rate),
        loss={"score": "sparse_categorical_crossentropy", "where": flaw_loss},
        loss_weights={"score": SCORE_WEIGHT, "where": WHERE_WEIGHT},
        metrics={"score": ["accuracy"]},
    )
    model.fit(_series(scenes, classes), steps_per_epoch=steps, epochs=epochs, verbose=2)
    scorer = keras.Model(model.input, model.output["score"])
    said = scorer.predict(data["validation"].astype(np.float32), verbose=0).argmax(axis=1)
    right = (said == data["validation_labels"]).mean()
    print(f"validation: {right:.1%} right of {len(said)}")
    return scorer


def _series(scenes: Pixels, classes: int) -> tf.data.Dataset:
    pixels = scenes.reshape(-1, *scenes.shape[2:])
    maps = flaw_maps(scenes)
    labels = np.tile(np.arange(classes), len(scenes))
    series = tf.data.Dataset.from_tensor_slices((pixels, labels, maps.reshape(-1, *maps.shape[2:])))
    # A scene's photographs stay together: only the flaw tells them apart.
    series = series.batch(classes).shuffle(len(scenes)).unbatch().repeat()
    return series.map(_turned, num_parallel_calls=2).batch(BATCH).prefetch(2)


def _turned(pixels: Any, label: Any, where: Any) -> tuple[Any, dict[str, Any]]:
    """A part may lie any way round: mirrored and turned it is still the same part."""
    turns = (
        lambda image: tf.reverse(image, [0]),
        lambda image: tf.reverse(image, [1]),
        lambda image: tf.transpose(image, (1, 0, 2)),
    )
    for turn in turns:
        flip = tf.random.uniform(()) < 0.5
        pixels = tf.cond(flip, lambda p=pixels, t=turn: t(p), lambda p=pixels: p)
        where = tf.cond(flip, lambda w=where, t=turn: t(w), lambda w=where: w)
    return tf.cast(pixels, tf.float32), {"score": label, "where": where}


def main() -> None:
    """Train and save."""
    photos, target, epochs, seed = sys.argv[1:]
    train(Path(photos), int(epochs), int(seed)).export(target, verbose=False)


if __name__ == "__main__":
    main()
