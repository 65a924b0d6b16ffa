"""The least that Flask can be: the bare loop behind one route of waitress, and nothing else.

Runs in the baselines' environment. MODEL names the .tflite file, PORT the port, THREADS the
interpreter's threads. It answers with all scores, as lineside-app does. What it takes more than
the bare loop is what HTTP, a form and Flask cost; it judges nothing and keeps nothing.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import cv2
import numpy as np
import waitress
from ai_edge_litert.interpreter import Interpreter
from flask import Flask, request

app = Flask(__name__)
interpreter = Interpreter(
    model_path=os.environ["MODEL"], num_threads=int(os.environ.get("THREADS", "1"))
)
interpreter.allocate_tensors()
taken = interpreter.get_input_details()[0]
given = interpreter.get_output_details()[0]
_, height, width, _ = (int(size) for size in taken["shape"])
labels = [f"class {number}" for number in range(int(given["shape"][-1]))]
lock = threading.Lock()


@app.post("/predict")
def predict() -> dict[str, Any]:
    """Classify the picture in the form's field `image`."""
    content = request.files["image"].read()
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    pixels = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)[None].astype(taken["dtype"])
    with lock:
        interpreter.set_tensor(taken["index"], pixels)
        interpreter.invoke()
        scores = interpreter.get_tensor(given["index"])[0]
    best = int(scores.argmax())
    scale, zero = given["quantization"]
    real = (scores.astype(np.float64) - zero) * (scale or 1.0)
    named = zip(labels, real.round(6).tolist(), strict=True)
    return {
        "predicted_class": labels[best],
        "confidence": float(real[best]),
        "class_scores": dict(named),
    }


@app.get("/health")
def health() -> dict[str, str]:
    """Say that it lives."""
    return {"status": "ok"}


if __name__ == "__main__":
    waitress.serve(app, host="127.0.0.1", port=int(os.environ["PORT"]), _quiet=True)
