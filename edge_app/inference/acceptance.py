"""A model proves itself on this device, in a child process that may crash in our stead."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.inference.bundle import BundleError, ModelBundle, read_bundle
from edge_app.inference.child import MEMORY_BYTES, QUIET, ChildFailed, answer, ask
from edge_app.inference.closeness import SCORE_TOLERANCE, difference
from edge_app.inference.engine import Engine
from edge_app.inference.interpreter import ModelFailed
from edge_app.inference.preprocess import Preprocessor
from edge_app.inference.tasks import interpret
from edge_app.inference.tensor import Array, TensorInfo

BUDGET_MS = 200.0
WALL_S = 120.0
"""Generous, for at the lowest priority a child beside a busy line is slow; a hang is longer."""

QUICK_SAMPLES = 3
MAX_TOLERANCE = 0.25
TIMED_RUNS, QUICK_TIMED_RUNS = 5, 2


@dataclass(frozen=True, slots=True)
class Proof:
    """How a model did.

    Args:
        refusal: Why it may not run, one sentence; empty if it may.
        runtime: What it ran in.
        samples: Golden samples that were held against their answers.
        invoke_ms: Its fastest run.
    """

    refusal: str
    runtime: str = ""
    samples: int = 0
    invoke_ms: float = float("nan")


def prove(
    path: Path,
    *,
    runtime: str = "",
    threads: int = 1,
    quick: bool = False,
    budget_ms: float = BUDGET_MS,
    memory_bytes: int = MEMORY_BYTES,
) -> Proof:
    """Let a model file prove itself in a child process.

    It must be whole, load in the runtime, fit what it says of itself, give the golden
    answers, and give one within the budget. A file without a golden set must answer
    grey and noise with finite numbers.

    Args:
        path: The model file.
        runtime: A runtime's name; empty for the default.
        threads: Threads for one run.
        quick: Only the first few golden samples, without a time limit for the model and
            at normal priority: for every start, where somebody waits for it.
        budget_ms: Longest its fastest run may take.
        memory_bytes: Address space of the child.
    """
    question = {
        "path": str(path),
        "runtime": runtime,
        "threads": threads,
        "quick": quick,
        "budget_ms": budget_ms,
    }
    niceness = 0 if quick else QUIET
    try:
        reply = ask(__name__, question, wall_s=WALL_S, memory_bytes=memory_bytes, niceness=niceness)
    except ChildFailed as error:
        return Proof(str(error), runtime)
    return Proof(**reply)


def _examine(question: dict[str, Any]) -> dict[str, Any]:
    """The child's part."""
    runtime, samples, invoke_ms = question["runtime"], 0, float("nan")
    try:
        bundle = read_bundle(Path(question["path"]))
        engine = Engine(bundle, runtime, question["threads"])
        runtime = engine.runtime
        refusal = _misfit(bundle, engine)
        if not refusal:
            tensors = golden_tensors(bundle, engine.inputs)
            places = range(min(len(tensors), QUICK_SAMPLES if question["quick"] else len(tensors)))
            for place in places:
                refusal = refusal or _answer_differs(bundle, engine, tensors[place], place)
            samples = len(places)
        if not refusal:
            runs = QUICK_TIMED_RUNS if question["quick"] else TIMED_RUNS
            invoke_ms = fastest_ms(engine, runs)
            # At a start everything runs at once; a time measured then says nothing.
            refusal = "" if question["quick"] else _too_slow(invoke_ms, question["budget_ms"])
    except (BundleError, ModelFailed, ValueError) as error:
        refusal = str(error)
    except MemoryError:
        refusal = "it needs more memory than it may have"
    return {
        "refusal": refusal,
        "runtime": runtime,
        "samples": samples,
        "invoke_ms": invoke_ms,
    }


def _misfit(bundle: ModelBundle, engine: Engine) -> str:
    for what, said, found in (
        ("inputs", bundle.spec.inputs, engine.inputs),
        ("outputs", bundle.spec.outputs, engine.outputs),
    ):
        if [_border(t) for t in said] != [_border(t) for t in found]:
            names = ", ".join(f"{t.name} {list(t.shape)} {t.dtype}" for t in found)
            return f"its {what} are not those it describes: the model has {names}"
    return ""


def _border(tensor: TensorInfo) -> tuple[str, str, float, int]:
    # Not the shape: some models state one only after they have run.
    return tensor.name, tensor.dtype, float(np.float32(tensor.scale)), tensor.zero_point


def golden_tensors(bundle: ModelBundle, inputs: tuple[TensorInfo, ...]) -> list[dict[str, Array]]:
    """Model inputs, batch of one each: the golden set's, or grey and noise without one.

    Raises:
        ValueError: The golden set does not fit the model's inputs.
    """
    if bundle.golden is None or not len(bundle.golden):
        return [stand_in(inputs, kind) for kind in ("grey", "noise")]
    golden, contract = bundle.golden.inputs, bundle.spec.contract
    if golden.keys() != {info.name for info in inputs}:
        raise ValueError(f"the golden set has inputs {', '.join(golden)}; the model has others")
    preprocessor = Preprocessor(contract, inputs[0]) if contract else None
    sets: list[dict[str, Array]] = []
    for place in range(len(bundle.golden)):
        rows = {info.name: golden[info.name][place] for info in inputs}
        if preprocessor is not None:
            rows = {name: preprocessor.normalise(pixels)[0] for name, pixels in rows.items()}
        sets.append({info.name: _shaped(rows[info.name], info) for info in inputs})
    return sets


def _shaped(row: Array, info: TensorInfo) -> Array:
    shape = [max(1, size) for size in info.shape]
    if row.size != int(np.prod(shape)) or row.dtype != np.dtype(info.dtype):
        raise ValueError(
            f"a golden input for {info.name} is {list(row.shape)} {row.dtype}; "
            f"the model takes {shape} {info.dtype}"
        )
    return row.reshape(shape)


def stand_in(inputs: tuple[TensorInfo, ...], kind: str) -> dict[str, Array]:
    """Inputs that fit any model: middle values (`grey`), or random ones (`noise`)."""
    random = np.random.default_rng(7)
    tensors: dict[str, Array] = {}
    for info in inputs:
        shape = [max(1, size) for size in info.shape]
        values = np.full(shape, 0.5) if kind == "grey" else random.random(shape)
        if np.issubdtype(np.dtype(info.dtype), np.integer) and info.quantized:
            bounds = np.iinfo(info.dtype)
            values = values * (float(bounds.max) - bounds.min) + bounds.min
        tensors[info.name] = values.astype(info.dtype)
    return tensors


def _answer_differs(
    bundle: ModelBundle, engine: Engine, tensors: Mapping[str, Array], place: int
) -> str:
    outputs = engine.run(tensors)
    real = {info.name: info.dequantize(tensors[info.name]) for info in engine.inputs}
    if bundle.golden is None:
        prediction = interpret(bundle.spec.task, outputs, inputs=real)
        return "" if prediction.sound else "it answers grey or noise with numbers that are none"
    expected = {}
    for info in engine.outputs:
        if info.name not in bundle.golden.quantized_outputs:
            return f"the golden set has no answer for output {info.name}"
        raw = bundle.golden.quantized_outputs[info.name][place]
        if raw.size != outputs[info.name].size:
            return f"the golden answer for {info.name} has {raw.size} values, the model's another"
        expected[info.name] = info.dequantize(raw).reshape(outputs[info.name].shape)
    # A file may ask for more than the usual tolerance, but not for so much that it proves nothing.
    wanted = bundle.spec.comparison.get("tolerance", SCORE_TOLERANCE)
    tolerance = min(MAX_TOLERANCE, float(wanted))
    found = difference(bundle.spec.task, expected, outputs, real, tolerance)
    return f"golden sample {place + 1} comes out differently: {found}" if found else ""


def fastest_ms(engine: Engine, runs: int) -> float:
    """The fastest of some runs: what the device can do, whatever else it does meanwhile."""
    tensors = stand_in(engine.inputs, "grey")
    spent = []
    for _ in range(runs):
        began = time.monotonic()
        engine.run(tensors)
        spent.append((time.monotonic() - began) * 1000)
    return min(spent)


def _too_slow(invoke_ms: float, budget_ms: float) -> str:
    if invoke_ms <= budget_ms:
        return ""
    return f"its fastest run takes {invoke_ms:.0f} ms here; the budget is {budget_ms:.0f} ms"


if __name__ == "__main__":
    answer(_examine)
