"""One runtime with so many threads, and nothing of ours around it; a child process.

The bench's own look at what `tune` chose between, so that the choice is not judged by the
code that made it. Arguments: model, runtime, threads, seconds. Prints a JSON list of
milliseconds, or an object with the runtime's complaint.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.inference.interpreter import RUNTIMES

WALL_S = 60.0


def measure(model: Path, runtime: str, threads: int, seconds: float) -> list[float] | str:
    """Milliseconds of runs in a child of its own, or why there are none."""
    command = [sys.executable, "-m", "benchmarks.combination", str(model), runtime]
    try:
        done = subprocess.run(
            [*command, str(threads), str(seconds)],
            capture_output=True,
            text=True,
            check=False,
            timeout=WALL_S,
        )
    except subprocess.TimeoutExpired:
        return f"it did not finish within {WALL_S:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:120]
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times


def main(model: str, runtime: str, threads: str, seconds: str) -> None:
    """The child's part."""
    tflite: Any = importlib.import_module(RUNTIMES[runtime])
    interpreter = tflite.Interpreter(model_path=model, num_threads=int(threads))
    interpreter.allocate_tensors()
    rng = np.random.default_rng(1)
    for details in interpreter.get_input_details():
        noise = rng.integers(0, 127, details["shape"])
        interpreter.set_tensor(details["index"], noise.astype(details["dtype"]))
    for _ in range(3):
        interpreter.invoke()
    times: list[float] = []
    until = time.perf_counter() + float(seconds)
    while time.perf_counter() < until or len(times) < 5:
        began = time.perf_counter()
        interpreter.invoke()
        times.append((time.perf_counter() - began) * 1000)
    print(json.dumps(times[-2000:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
