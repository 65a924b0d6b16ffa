"""The service that every tutorial ends with: Flask, Pillow, the SavedModel as it is.

Runs in the baselines' environment, by itself (Flask's development server) or under
gunicorn as `tutorial:app`. MODEL names the SavedModel's folder, PORT the port.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf
from flask import Flask, jsonify, request
from PIL import Image

SIDE_PX = 224

app = Flask(__name__)
model = tf.saved_model.load(os.environ["MODEL"])
infer = model.signatures["serving_default"]
(input_name,) = infer.structured_input_signature[1]


@app.post("/predict")
def predict() -> Any:
    """Classify the picture in the form's field `image`."""
    picture = Image.open(request.files["image"].stream).convert("RGB")
    pixels = np.asarray(picture.resize((SIDE_PX, SIDE_PX)), dtype=np.float32)[None]
    outputs = infer(**{input_name: tf.constant(pixels)})
    scores = next(iter(outputs.values())).numpy()[0]
    best = int(scores.argmax())
    return jsonify(predicted_class=best, confidence=float(scores[best]))


@app.get("/health")
def health() -> Any:
    """Say that it lives."""
    return jsonify(status="ok")


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
