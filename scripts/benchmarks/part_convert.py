"""`bench convert`: our converter against TFLiteConverter in five lines; its proof apart."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Part, Table
from benchmarks.place import ROOT, SCRIPTS, Missing, Place

AIM = 1.3
ROUNDS = 3
CONVERSION = ("starting TensorFlow", "reading saved_model", "converting to int8")
"""Our steps that do what the bare script does; all others are the proof."""


def run(place: Place) -> Part:
    """Convert the bench's SavedModel both ways in turn, in one environment."""
    part = Part(
        "convert",
        "Converting",
        "The bench's SavedModel (MobileNetV2, random weights) to int8, the two in turn: "
        "TFLiteConverter as the tutorials call it, and lineside-convert. Conversion is starting "
        "TensorFlow, reading the model and making the int8 one, in both. The proof is everything "
        "else that lineside-convert does: the float model to hold it against, both models run on "
        "every picture in every runtime, timing, the golden set. Peak memory is that of the "
        "process with TensorFlow in it. The weights are random, so only time, memory and size "
        "mean anything here.",
    )
    python = _python()
    # Made now if it is not there: that is no part of a measurement.
    place.saved_model()
    folder = place.fresh("convert")
    rounds = 1 if place.quick else ROUNDS
    bare_runs, our_runs = [], []
    for _ in range(rounds):
        bare_runs.append(_bare(python, place, folder))
        our_runs.append(_ours(python, place, folder))
    bare, ours = _medians(bare_runs), _medians(our_runs)
    table = Table(
        f"SavedModel to int8, median of {rounds}",
        ["", "conversion s", "without the start s", "peak memory MB", "proof s", "file MB"],
    )
    for name, run_ in (("TFLiteConverter", bare), ("lineside-convert", ours)):
        figures = [f"{run_[key]:.1f}" for key in ("conversion", "convert")]
        figures += [f"{run_['peak_mb']:.0f}", f"{run_['proof']:.1f}", f"{run_['bytes'] / 1e6:.2f}"]
        table.rows.append([name, *figures])
    part.tables.append(table)
    part.facts |= {"TFLiteConverter": bare, "lineside-convert": ours}
    for key, what in (("conversion", "time"), ("peak_mb", "peak memory")):
        times = ours[key] / bare[key]
        part.check(
            f"the conversion itself takes at most {AIM} times the bare one's {what}",
            f"{times:.2f} times",
            times <= AIM,
        )
    return part


def _python() -> str:
    """The Python of the tree with TensorFlow, which the device's has not; made on demand.

    Raises:
        Missing: It can't be made.
    """
    command = [str(SCRIPTS / "venv"), "dev,convert"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"TensorFlow could not be installed: {done.stderr.strip()[-300:]}")
    return done.stdout.splitlines()[-1]


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: median(run[key] for run in runs) for key in runs[0]}


def _bare(python: str, place: Place, folder: Path) -> dict[str, float]:
    script = str(SCRIPTS / "benchmarks/baselines/bare_convert.py")
    output = folder / "bare.tflite"
    command = [script, str(place.saved_model()), str(place.frames()), str(output)]
    reply, _ = _timed([python, *command], folder)
    return {
        "conversion": reply["s"],
        "convert": reply["s"] - reply["import_s"],
        "peak_mb": reply["peak_mb"],
        "proof": 0.0,
        "bytes": output.stat().st_size,
    }


def _ours(python: str, place: Place, folder: Path) -> dict[str, float]:
    output = folder / "ours.tflite"
    given = ["-m", "convert", str(place.saved_model()), "-o", str(output), "--json"]
    given += ["--images", str(place.frames()), "--mode", "int8", "--range", "0..255"]
    given += ["--preprocess", "trust", "--task", "classification", "--quiet"]
    given += ["--min-agreement", "0", "--max-distance", "1"]
    reply, seconds = _timed([python, *given], folder)
    steps = {step["name"]: step["s"] for step in reply["steps"]}
    conversion = sum(steps[name] for name in CONVERSION)
    return {
        "conversion": conversion,
        "convert": conversion - steps["starting TensorFlow"],
        "peak_mb": reply["trials"][0]["peak_mb"],
        "proof": seconds - conversion,
        "bytes": output.stat().st_size,
    }


def _timed(command: list[str], folder: Path) -> tuple[dict[str, Any], float]:
    """What it printed as JSON, and its seconds from start to end.

    Raises:
        Missing: It failed, with its last words.
    """
    environ = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    began = time.monotonic()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=environ,
        cwd=folder,
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise Missing(f"{' '.join(command[:3])} ended with {done.stderr.strip()[-300:]}")
    reply: dict[str, Any] = json.loads(done.stdout)
    return reply, seconds
