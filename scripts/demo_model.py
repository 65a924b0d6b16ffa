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

SCENES_A_BATCH = 8
PEAK_RATE = 3e-3
BLOCKS = ((16, 2), (24, 2), (32, 1), (48, 2), (64, 1), (64, 1), (64, 1))
FLAW_WEIGHT = 8.0
"""A flaw fills few of a picture's cells; each counts as much as so many sound ones."""


WHERE_WEIGHT = 10.0
"""A picture has hundreds of cells to average over, and one class."""


def build(side_px: int, classes: int) -> keras.Model:
    """A small convolutional network: pixels 0..255 in, a score for each class out.

    While it is trained it has a second output, where in the picture each flaw is. That
    is what makes a scratch of a few pixels findable in a few thousand pictures.
    """
    pixels = keras.Input((side_px, side_px, 3), name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    for filters, strides in BLOCKS:
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.95)(x)
        x = layers.ReLU(6.0)(x)
    cells = layers.Conv2D(classes - 1, 1)(x)
    where = layers.Activation("sigmoid", name="where")(cells)
    # One bad cell makes a bad part.
    worst = layers.Flatten()(layers.MaxPooling2D(cells.shape[1])(cells))
    score = layers.Dense(classes, activation="softmax", name="score")(worst)
    return keras.Model(pixels, {"score": score, "where": where})


def _flaw_loss(true: Any, said: Any) -> Any:
    """Cross entropy of the flaw map, flawed cells weighted."""
    said = tf.clip_by_value(said, 1e-6, 1 - 1e-6)
    flawed, sound = true * tf.math.log(said), (1 - true) * tf.math.log(1 - said)
    return -tf.reduce_mean(FLAW_WEIGHT * flawed + sound)


def _turned(pixels: Any, spoiled: Any) -> tuple[Any, Any]:
    """A part may lie any way round: mirrored and turned it is still the same part."""
    sides = tf.random.uniform((3,)) < 0.5
    for number, turn in enumerate(
        (
            lambda scene: tf.reverse(scene, [1]),
            lambda scene: tf.reverse(scene, [2]),
            lambda scene: tf.transpose(scene, (0, 2, 1, 3)),
        )
    ):
        flip = sides[number]
        pixels = tf.cond(flip, lambda p=pixels, t=turn: t(p), lambda p=pixels: p)
        spoiled = tf.cond(flip, lambda s=spoiled, t=turn: t(s), lambda s=spoiled: s)
    classes = tf.shape(pixels)[0]
    # Scene by scene the classes follow each other; class 0 is the part without a flaw.
    kinds = tf.one_hot(tf.range(classes) - 1, classes - 1)[:, None, None, :]
    where = tf.cast(spoiled > 8, tf.float32) * kinds
    return tf.cast(pixels, tf.float32), {"score": tf.range(classes), "where": where}


def train(photos: Path, epochs: int, seed: int) -> keras.Model:
    """Train on the file's `train` scenes, and say how it does on its `validation` part."""
    keras.utils.set_random_seed(seed)
    with np.load(photos) as arrays:
        pixels, spoiled = arrays["train"], arrays["train_spoiled"]
        unseen = arrays["validation"].astype(np.float32), arrays["validation_labels"]
    model = build(pixels.shape[2], pixels.shape[1])
    steps = epochs * -(-len(pixels) // SCENES_A_BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=PEAK_RATE, warmup_steps=steps // 20
    )
    model.compile(
        keras.optimizers.Adam(rate),
        {"score": "sparse_categorical_crossentropy", "where": _flaw_loss},
        loss_weights={"score": 1.0, "where": WHERE_WEIGHT},
        metrics={"score": "accuracy"},
    )
    # The classes of one scene stay in one batch: only the flaw tells them apart.
    scenes = tf.data.Dataset.from_tensor_slices((pixels, spoiled[..., None]))
    scenes = scenes.shuffle(len(pixels), seed).map(_turned, num_parallel_calls=2).unbatch()
    scenes = scenes.batch(SCENES_A_BATCH * pixels.shape[1]).prefetch(2)
    model.fit(scenes, epochs=epochs, verbose=2)
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
