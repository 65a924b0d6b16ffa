"""`bench batch`: whether pictures of several clients should wait to be run as one."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Part, Table, ms, percentile
from benchmarks.place import DEMO_MODEL, Place
from edge_app.inference.interpreter import RUNTIMES

BATCHES = (1, 2, 4)
WALL_S = 60.0
SECONDS, QUICK_SECONDS = 4.0, 0.3
WORTH = 0.8
"""A picture must become this much cheaper before waiting for others can pay."""


def run(place: Place) -> Part:
    """Run models with one, two and four pictures in one invoke, in both runtimes."""
    part = Part(
        "batch",
        "Batches: several pictures in one run",
        "The same model, widened to one, two and four pictures, in turn in one process for each "
        "runtime and number of threads. What counts is a picture's share of a run: a server that "
        "lets pictures wait for each other pays the wait, and the first one of a batch also "
        "answers only when the last one is done.",
    )
    table = Table(
        "A picture's share of a run",
        ["model", "runtime", "threads", "one, ms", "in two / one", "in four / one"],
        note="Models with a fixed shape inside can't be widened, and say so.",
    )
    seconds = QUICK_SECONDS if place.quick else SECONDS
    shares: list[float] = []
    for path in models(place):
        for runtime in RUNTIMES:
            for threads in (1, 2):
                found = _measure(path, runtime, threads, seconds)
                if isinstance(found, str):
                    table.rows.append([path.stem, runtime, threads, found, "-", "-"])
                    continue
                one = percentile(found[1], 50)
                two, four = (percentile(found[size], 50) / one for size in (2, 4))
                shares += [two, four]
                cells = [path.stem, runtime, threads, ms(one), f"{two:.2f}", f"{four:.2f}"]
                table.rows.append(cells)
    part.tables.append(table)
    gained = sum(share <= WORTH for share in shares)
    part.facts["micro-batching"] = {"rows": len(shares), f"at most {WORTH}": gained}
    table.note += (
        f" {gained} of {len(shares)} batches made a picture cheaper by a fifth or more. Clients of "
        "the app are not batched: under load each would wait for others, and with one client "
        "there is nobody to wait for. Arrays that come in one request are (see http.md)."
    )
    return part


def models(place: Place) -> list[Path]:
    """The bench's own int8 and float model, the demo's, and a stranger's where there is one."""
    own = [place.flatbuffer(), place.saved_model().parent / "model_float.tflite", DEMO_MODEL]
    return [
        path for path in (*own, place.shared / "models" / "vww_96_int8.tflite") if path.exists()
    ]


def _measure(
    model: Path, runtime: str, threads: int, seconds: float
) -> dict[int, list[float]] | str:
    command = [sys.executable, "-m", __name__, str(model), runtime, str(threads), str(seconds)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WALL_S)
    except subprocess.TimeoutExpired:
        return f"it did not finish within {WALL_S:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:80]
    return {int(size): times for size, times in json.loads(done.stdout.splitlines()[-1]).items()}


def main(model: str, runtime: str, threads: str, seconds: str) -> None:
    """The child's part: milliseconds for each picture, by the size of its batch."""
    tflite: Any = importlib.import_module(RUNTIMES[runtime])
    widened = {size: _widened(tflite, model, int(threads), size) for size in BATCHES}
    times: dict[int, list[float]] = {size: [] for size in BATCHES}
    until = time.perf_counter() + float(seconds)
    while time.perf_counter() < until or len(times[1]) < 5:
        for size, interpreter in widened.items():
            began = time.perf_counter()
            interpreter.invoke()
            times[size].append((time.perf_counter() - began) * 1000 / size)
    print(json.dumps(times))


def _widened(tflite: Any, model: str, threads: int, size: int) -> Any:
    interpreter = tflite.Interpreter(model_path=model, num_threads=threads)
    details = interpreter.get_input_details()[0]
    shape = [size, *(int(length) for length in details["shape"][1:])]
    interpreter.resize_tensor_input(details["index"], shape)
    interpreter.allocate_tensors()
    noise = np.random.default_rng(1).integers(0, 127, shape)
    interpreter.set_tensor(details["index"], noise.astype(details["dtype"]))
    for _ in range(3):
        interpreter.invoke()
    return interpreter


if __name__ == "__main__":
    main(*sys.argv[1:])
