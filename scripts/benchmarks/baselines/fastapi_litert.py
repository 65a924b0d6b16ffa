"""The leanest service that a careful person writes in an hour: FastAPI and LiteRT.

Runs in the baselines' environment. MODEL names the .tflite file, PORT the port, THREADS
the interpreter's threads. One lock around the interpreter, which is not thread-safe.
"""

from __future__ import annotations

import os
import threading

import numpy as np
import uvicorn
from ai_edge_litert.interpreter import Interpreter
from fastapi import FastAPI, UploadFile
from PIL import Image

app = FastAPI()
interpreter = Interpreter(
    model_path=os.environ["MODEL"], num_threads=int(os.environ.get("THREADS", "1"))
)
interpreter.allocate_tensors()
(taken,) = interpreter.get_input_details()
given = interpreter.get_output_details()[0]
lock = threading.Lock()


@app.post("/predict")
def predict(image: UploadFile) -> dict[str, float | int]:
    """Classify the picture in the form's field `image`."""
    picture = Image.open(image.file).convert("RGB")
    _, height, width, _ = taken["shape"]
    pixels = np.asarray(picture.resize((int(width), int(height))))[None]
    with lock:
        interpreter.set_tensor(taken["index"], pixels.astype(taken["dtype"]))
        interpreter.invoke()
        scores = interpreter.get_tensor(given["index"])[0]
    best = int(scores.argmax())
    scale, zero = given["quantization"]
    confidence = (float(scores[best]) - zero) * scale if scale else float(scores[best])
    return {"predicted_class": best, "confidence": confidence}


@app.get("/health")
def health() -> dict[str, str]:
    """Say that it lives."""
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
