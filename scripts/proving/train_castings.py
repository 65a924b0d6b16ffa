"""Train a small CNN on pictures in sub-folders and export it as a SavedModel.

Runs in a process of its own. Arguments: folder of pictures, output folder, `0..1` or `imagenet`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import layers

SIDE_PX, EPOCHS, BATCH = 96, 14, 32
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def main(folder: Path, output: Path, contract: str) -> None:
    """Train, say the accuracy on the training pictures, export."""
    keras.utils.set_random_seed(3)
    pixels, truth = _read(folder)
    scaled = pixels / 255 if contract == "0..1" else (pixels - np.float32(MEAN)) / np.float32(STD)
    model = _network()
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, _steps(truth))),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    seen = model.fit(_turned(scaled), np.tile(truth, 8), BATCH, EPOCHS, verbose=0)
    print(f"accuracy in training {seen.history['accuracy'][-1]:.1%}")
    model.export(str(output), format="tf_saved_model", verbose=False)


def _read(folder: Path) -> tuple[Any, Any]:
    """Pixels in RGB at the network's size, and the place of each one's sub-folder."""
    pixels, truth = [], []
    for place, label in enumerate(sorted(path.name for path in folder.iterdir())):
        for path in sorted((folder / label).iterdir()):
            image = cv2.resize(cv2.imread(str(path)), (SIDE_PX,) * 2, interpolation=cv2.INTER_AREA)
            pixels.append(image[:, :, ::-1])
            truth.append(place)
    return np.asarray(pixels, np.float32), np.asarray(truth)


def _turned(pixels: Any) -> Any:
    """All eight ways to lay a square picture: an impeller is round."""
    flipped = (pixels, pixels[:, :, ::-1])
    return np.concatenate([np.rot90(way, turn, (1, 2)) for way in flipped for turn in range(4)])


def _steps(truth: Any) -> int:
    return EPOCHS * -(-len(truth) * 8 // BATCH)


def _network() -> Any:
    picture = keras.Input((SIDE_PX, SIDE_PX, 3), name="picture")
    values = picture
    for filters in (16, 24, 32, 48):
        values = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(values)
        values = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(values))
    values = layers.Conv2D(64, 3, padding="same", activation="relu")(values)
    values = layers.Dropout(0.2)(layers.GlobalMaxPooling2D()(values))
    return keras.Model(picture, layers.Dense(2, activation="softmax")(values))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
