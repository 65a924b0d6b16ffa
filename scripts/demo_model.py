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

BATCH = 48
PEAK_RATE = 3e-3
BLOCKS = ((12, 2), (16, 2), (24, 1), (32, 2), (48, 1), (48, 1), (48, 1))
CELL_PX = 8
"""A cell of the network's last layer covers so many pixels of its input, each way."""

CUTOUT_CELLS = 8
FLAW_WEIGHT = 8.0
"""A flaw fills few of a picture's cells; each counts as much as so many sound ones."""

WHERE_WEIGHT = 10.0
"""A picture has hundreds of cells to average over, and one class."""


def build(classes: int) -> keras.Model:
    """A small convolutional network: pixels 0..255 in, a score for each flaw in each cell out.

    It takes pictures of any size.
    """
    pixels = keras.Input((None, None, 3), name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    for filters, strides in BLOCKS:
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.95)(x)
        x = layers.ReLU(6.0)(x)
    return keras.Model(pixels, layers.Conv2D(classes - 1, 1)(x))


def classifier(cells: keras.Model, side_px: int, classes: int) -> keras.Model:
    """The same network for whole pictures: class scores, and where each flaw is."""
    pixels = keras.Input((side_px, side_px, 3), name="pixels")
    found = cells(pixels)
    # One bad cell makes a bad part.
    worst = layers.Flatten()(layers.MaxPooling2D(side_px // CELL_PX)(found))
    score = layers.Dense(classes, activation="softmax", name="score")(worst)
    model = keras.Model(pixels, {"score": score, "where": layers.Identity(name="where")(found)})
    # To begin with, a part is of the class of its worst cell, or good where none is bad.
    model.get_layer("score").set_weights([np.eye(classes)[1:], np.zeros(classes)])
    return model


def flaw_loss(true: Any, said: Any) -> Any:
    """Cross entropy of the flaw map, flawed cells weighted."""
    return tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(true, said, FLAW_WEIGHT))


def maps(spoiled: Pixels) -> NDArray[np.float32]:
    """Flawed cells by kind: scenes x classes x cells x cells x kinds; class 0 has no flaw."""
    classes = spoiled.shape[1]
    kinds = np.eye(classes, dtype=np.float32)[:, 1:]
    return (spoiled > 8)[..., None] * kinds[:, None, None, :]


def cutouts(
    pixels: Pixels, where: NDArray[np.float32], rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.float32]]:
    """Each flaw from close by, and the same place of the same part without it."""
    shots, cells = [], []
    last = where.shape[2] - CUTOUT_CELLS
    for scene in range(len(pixels)):
        for kind in range(1, pixels.shape[1]):
            flawed = np.argwhere(where[scene, kind].any(axis=-1))
            if not len(flawed):
                continue
            middle = flawed[rng.integers(len(flawed))]
            corner = middle - rng.integers(1, CUTOUT_CELLS - 1, 2)
            row, column = np.clip(corner, 0, last)
            for which in (0, kind):
                part = where[scene, which, row : row + CUTOUT_CELLS, column : column + CUTOUT_CELLS]
                cells.append(part)
                top, left, side = row * CELL_PX, column * CELL_PX, CUTOUT_CELLS * CELL_PX
                shots.append(pixels[scene, which, top : top + side, left : left + side])
    return np.stack(shots), np.stack(cells)


def _turned(pixels: Any, where: Any, *label: Any) -> tuple[Any, ...]:
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
    pixels = tf.cast(pixels, tf.float32)
    return (pixels, {"score": label[0], "where": where}) if label else (pixels, where)


def _optimizer(steps: int, peak: float) -> keras.optimizers.Optimizer:
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=peak, warmup_steps=steps // 10
    )
    return keras.optimizers.Adam(rate)


def learn_flaws(
    cells: keras.Model, pixels: Pixels, where: NDArray[np.float32], epochs: int, seed: int
) -> None:
    """First lesson, on cut-outs: what flaws look like."""
    rng = np.random.default_rng(seed)
    shots, maps_of_shots = cutouts(pixels, where, rng)
    cells.compile(_optimizer(epochs * (len(shots) // BATCH + 1), PEAK_RATE), flaw_loss)
    series = tf.data.Dataset.from_tensor_slices((shots, maps_of_shots))
    # A flaw and the same place without it stay together: only the flaw tells them apart.
    series = series.batch(2).shuffle(len(shots)).unbatch().map(_turned).batch(BATCH)
    cells.fit(_counted(series, len(shots)), epochs=epochs, verbose=2)


def learn_parts(
    model: keras.Model, pixels: Pixels, where: NDArray[np.float32], epochs: int
) -> None:
    """Second lesson, on whole pictures: which class a part is of."""
    scenes, classes = pixels.shape[:2]
    steps = epochs * (scenes * classes // BATCH + 1)
    model.compile(
        _optimizer(steps, PEAK_RATE / 2),
        {"score": "sparse_categorical_crossentropy", "where": flaw_loss},
        loss_weights={"score": 1.0, "where": WHERE_WEIGHT},
        metrics={"score": "accuracy"},
    )
    labels = np.tile(np.arange(classes), (scenes, 1))
    series = tf.data.Dataset.from_tensor_slices((pixels, where, labels))
    series = series.shuffle(scenes).unbatch().map(_turned).batch(BATCH)
    model.fit(_counted(series, scenes * classes), epochs=epochs, verbose=2)


def _counted(series: Any, pictures: int) -> Any:
    # Taken apart and put together again, a series no longer knows its length.
    return series.apply(tf.data.experimental.assert_cardinality(-(-pictures // BATCH))).prefetch(2)


def train(photos: Path, epochs: int, seed: int) -> keras.Model:
    """Train on the file's `train` scenes, and say how it does on its `validation` part."""
    keras.utils.set_random_seed(seed)
    with np.load(photos) as arrays:
        pixels, where = arrays["train"], maps(arrays["train_spoiled"])
        unseen = arrays["validation"].astype(np.float32), arrays["validation_labels"]
    classes = pixels.shape[1]
    cells = build(classes)
    learn_flaws(cells, pixels, where, 2 * epochs, seed)
    model = classifier(cells, pixels.shape[2], classes)
    learn_parts(model, pixels, where, epochs)
    whole = keras.Model(model.input, model.output["score"])
    said = whole.predict(unseen[0], verbose=0).argmax(axis=1)
    print(f"validation: {np.mean(said == unseen[1]):.1%} right of {len(said)}")
    return whole


def main() -> None:
    """Train and export."""
    photos, target, epochs, seed = sys.argv[1:]
    model = train(Path(photos), int(epochs), int(seed))
    model.export(target, format="tf_saved_model", verbose=False)


if __name__ == "__main__":
    main()
