"""One network for each task, with seeded random weights: what matters is what their outputs mean.

Runs in a process of its own. Argument: output folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SIDE_PX = 64


def main(folder: Path) -> None:
    """Export them all as SavedModels."""
    keras.utils.set_random_seed(5)
    _classifiers(folder)
    _maps(folder)
    _yolo(folder)
    _ssd(folder)
    _others(folder)


def _picture() -> Any:
    return keras.Input((SIDE_PX, SIDE_PX, 3), name="picture")


def _conv(values: Any, filters: int, strides: int = 2) -> Any:
    values = layers.Conv2D(filters, 3, strides=strides, padding="same", activation="relu")(values)
    return layers.BatchNormalization()(values)


def _export(folder: Path, name: str, picture: Any, output: Any) -> None:
    keras.Model(picture, output).export(str(folder / name), format="tf_saved_model", verbose=False)


def _classifiers(folder: Path) -> None:
    for name, activation in (("softmax", "softmax"), ("logits", None), ("sigmoid", "sigmoid")):
        picture = _picture()
        values = layers.GlobalAveragePooling2D()(_conv(_conv(picture, 16), 32))
        last = layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(0, 4))
        values = last(values)
        _export(folder, name, picture, layers.Activation(activation)(values))


def _maps(folder: Path) -> None:
    picture = _picture()
    values = layers.UpSampling2D()(_conv(_conv(picture, 16), 16, 1))
    _export(folder, "segmentation", picture, layers.Conv2D(5, 1, activation="softmax")(values))
    picture = _picture()
    values = layers.Conv2D(1, 1, activation="sigmoid")(_conv(_conv(picture, 16), 16, 1))
    _export(folder, "anomaly", picture, values)
    picture = _picture()
    values = layers.UpSampling2D()(_conv(picture, 16))
    _export(folder, "autoencoder", picture, layers.Conv2D(3, 3, padding="same")(values))


def _yolo(folder: Path) -> None:
    """Boxes as shares of the picture and two classes, [1, 6, 1024]."""
    picture = _picture()
    values = layers.Conv2D(6, 1, activation="sigmoid")(_conv(picture, 16))
    rows = layers.Permute((2, 1))(layers.Reshape((-1, 6))(values))
    _export(folder, "yolo", picture, rows)


@tf.function(
    experimental_implements=(
        'name: "TFLite_Detection_PostProcess" '
        'attr { key: "max_detections" value { i: 10 } } '
        'attr { key: "max_classes_per_detection" value { i: 1 } } '
        'attr { key: "use_regular_nms" value { b: false } } '
        'attr { key: "nms_score_threshold" value { f: 0.3 } } '
        'attr { key: "nms_iou_threshold" value { f: 0.5 } } '
        'attr { key: "y_scale" value { f: 10.0 } } attr { key: "x_scale" value { f: 10.0 } } '
        'attr { key: "h_scale" value { f: 5.0 } } attr { key: "w_scale" value { f: 5.0 } } '
        'attr { key: "num_classes" value { i: 2 } }'
    )
)
def post_process(boxes: Any, scores: Any, anchors: Any) -> tuple[Any, ...]:
    """Only its border: the converter puts TFLite's operation in its place."""
    total = tf.reduce_sum(boxes) + tf.reduce_sum(scores) + tf.reduce_sum(anchors)
    return (
        tf.zeros([1, 10, 4]) + total,
        tf.zeros([1, 10]) + total,
        tf.zeros([1, 10]) + total,
        tf.zeros([1]) + total,
    )


def _ssd(folder: Path) -> None:
    """As the Object Detection API exports it: the last operation is known by its name."""
    picture = _picture()
    values = _conv(_conv(_conv(picture, 16), 24), 32)
    boxes = layers.Reshape((-1, 4))(layers.Conv2D(4, 1)(values))
    scores = layers.Reshape((-1, 3))(layers.Conv2D(3, 1, activation="sigmoid")(values))
    network = keras.Model(picture, [boxes, scores])
    centres = (np.arange(8, dtype=np.float32) + 0.5) / 8
    down, right = np.meshgrid(centres, centres, indexing="ij")
    size = np.full(64, 0.25, np.float32)
    anchors = np.stack([down.ravel(), right.ravel(), size, size], 1)

    def detect(shown: Any) -> dict[str, Any]:
        found = post_process(*network(shown), tf.constant(anchors))
        return dict(zip(("boxes", "classes", "scores", "count"), found, strict=True))

    archive = keras.export.ExportArchive()
    archive.track(network)
    border = [tf.TensorSpec([1, SIDE_PX, SIDE_PX, 3], tf.float32, "picture")]
    archive.add_endpoint("serve", detect, input_signature=border)
    archive.write_out(str(folder / "ssd"), verbose=False)


def _others(folder: Path) -> None:
    numbers = keras.Input((12,), name="numbers")
    _export(folder, "raw", numbers, layers.Dense(3)(layers.Dense(8, activation="relu")(numbers)))
    np.savez(folder / "numbers.npz", numbers=np.random.default_rng(5).normal(size=(300, 12)))
    eight = Eight()
    signatures = {"serving_default": eight.call}
    tf.saved_model.save(eight, str(folder / "batch"), signatures=signatures)
    np.savez(folder / "eight.npz", eight=np.random.default_rng(5).normal(size=(200, 8, 4)))
    # Teachable Machine's layout.
    machine = folder / "teachable"
    machine.mkdir()
    picture = _picture()
    values = layers.GlobalAveragePooling2D()(_conv(_conv(picture, 8), 16))
    last = layers.Dense(2, activation="softmax", kernel_initializer="random_normal")
    _export(machine, "model.savedmodel", picture, last(values))
    (machine / "labels.txt").write_text("0 ok\n1 defective\n", encoding="utf-8")


class Eight(tf.Module):
    """Eight rows at once that are no picture: a batch that is fixed and means something."""

    @tf.function(input_signature=[tf.TensorSpec([8, 4], tf.float32, "eight")])
    def call(self, eight: Any) -> dict[str, Any]:
        """Each row against the mean of all."""
        return {"apart": eight - tf.reduce_mean(eight, 0, keepdims=True)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
