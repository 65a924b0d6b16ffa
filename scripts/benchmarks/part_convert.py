"""`bench convert`: our converter, with all it proves, against TFLiteConverter in five lines."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from benchmarks.figures import Part, Table
from benchmarks.place import ROOT, SCRIPTS, Place

SIDE_PX = 224


def run(place: Place) -> Part:
    """Convert the bench's SavedModel both ways, in the baselines' environment."""
    part = Part(
        "convert",
        "Converting",
        "The bench's SavedModel (MobileNetV2, random weights) to int8: TFLiteConverter as the "
        "tutorials call it, and lineside-convert, which besides compares the result with the "
        "float model picture by picture, loads it in every runtime, and packs golden samples. "
        "The weights are random, so only time, memory and size mean anything here.",
    )
    python = place.baseline_python()
    folder = place.fresh("convert")
    frames = str(place.frames())
    saved = str(place.saved_model())
    bare = [python, str(SCRIPTS / "benchmarks/baselines/bare_convert.py"), saved, frames]
    ours = [python, "-m", "convert", saved, "-o", str(folder / "ours.tflite"), "--images", frames]
    ours += ["--mode", "int8", "--range", "0..255", "--preprocess", "trust", "--quiet"]
    ours += ["--task", "classification", "--min-agreement", "0", "--max-distance", "1"]
    table = Table("SavedModel to int8", ["", "seconds", "peak memory MB", "file MB", "outcome"])
    for name, command, output in (
        ("TFLiteConverter", [*bare, str(folder / "bare.tflite")], folder / "bare.tflite"),
        ("lineside-convert", ours, folder / "ours.tflite"),
    ):
        seconds, peak_mb, outcome = _timed(command, folder / f"{name}.log")
        size = f"{output.stat().st_size / 1e6:.2f}" if output.exists() else "-"
        table.rows.append([name, f"{seconds:.1f}", f"{peak_mb:.0f}", size, outcome])
        part.facts[name] = {"s": seconds, "peak_mb": peak_mb}
    part.tables.append(table)
    bare_s, ours_s = (part.facts[n]["s"] for n in ("TFLiteConverter", "lineside-convert"))
    done = (folder / "ours.tflite").exists()
    part.check(
        "lineside-convert makes a model file of the same SavedModel",
        f"in {ours_s / bare_s:.1f} times the time of the bare conversion" if done else "it did not",
        done,
    )
    return part


def _timed(command: list[str], log: Path) -> tuple[float, float, str]:
    """Seconds, peak megabytes of the largest process, and how it ended."""
    wrapper = (
        "import json, resource, subprocess, sys;"
        "done = subprocess.run(sys.argv[1:]);"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss;"
        "print(json.dumps({'peak': peak, 'status': done.returncode}))"
    )
    environ = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    began = time.monotonic()
    with log.open("wb") as file:
        done = subprocess.run(
            [command[0], "-c", wrapper, *command],
            stdout=subprocess.PIPE,
            stderr=file,
            check=False,
            env=environ,
            cwd=log.parent,
        )
    seconds = time.monotonic() - began
    reply = json.loads(done.stdout.splitlines()[-1])
    outcome = "done"
    if reply["status"]:
        words = log.read_text(errors="replace").strip().splitlines()
        outcome = f"status {reply['status']}: {words[-1][:120] if words else 'it said nothing'}"
    return seconds, reply["peak"] * 1024 / 1e6, outcome
