"""The first run of a foreign model, in a child process: what goes in, what comes out."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.inference.child import MEMORY_BYTES, ChildFailed, answer, ask
from edge_app.inference.interpreter import Interpreter, ModelFailed, installed_runtimes
from edge_app.inference.tensor import Array, TensorInfo

WALL_S = 120.0


class TrialFailed(Exception):  # noqa: N818 - read as a sentence where it is raised
    """No runtime of this device can load and run the model; the message says why."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model did with its first inputs.

    Args:
        runtime: The runtime that ran it.
        inputs: As that runtime tells them.
        outputs: The same, with the shapes they had after the run.
        answers: By output name, raw values, one row for each set of inputs.
    """

    runtime: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    answers: Mapping[str, Array]


def run_trial(
    flatbuffer: bytes,
    samples: Sequence[Mapping[str, Array]],
    memory_bytes: int = MEMORY_BYTES,
) -> Trial:
    """Run a model once for each sample, in the first runtime that can.

    Args:
        flatbuffer: The model.
        samples: One array for each input, by its name.
        memory_bytes: Address space of the child.

    Raises:
        TrialFailed: None can.
    """
    reasons: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lineside-trial-") as folder:
        model, arrays = Path(folder) / "model.tflite", Path(folder) / "samples.npz"
        model.write_bytes(flatbuffer)
        np.savez(arrays, **{f"{i}:{k}": v for i, s in enumerate(samples) for k, v in s.items()})
        for runtime in installed_runtimes():
            question = {"model": str(model), "samples": str(arrays), "runtime": runtime}
            try:
                reply = ask(__name__, question, wall_s=WALL_S, memory_bytes=memory_bytes)
            except ChildFailed as error:
                reasons.append(f"{runtime}: {error}")
                continue
            if not reply["refusal"]:
                return _trial(runtime, reply)
            reasons.append(reply["refusal"])
    raise TrialFailed(reasons[0] if reasons else "no TFLite runtime is installed")


def _trial(runtime: str, reply: dict[str, Any]) -> Trial:
    with np.load(io.BytesIO(base64.b64decode(reply["answers"])), allow_pickle=False) as arrays:
        answers = {name: arrays[name] for name in arrays.files}
    return Trial(
        runtime,
        tuple(map(TensorInfo.from_json, reply["inputs"])),
        tuple(map(TensorInfo.from_json, reply["outputs"])),
        answers,
    )


def _run(question: dict[str, Any]) -> dict[str, Any]:
    """The child's part."""
    samples: dict[str, dict[str, Array]] = {}
    with np.load(question["samples"], allow_pickle=False) as arrays:
        for key in arrays.files:
            place, _, name = key.partition(":")
            samples.setdefault(place, {})[name] = arrays[key]
    try:
        model = Interpreter(Path(question["model"]).read_bytes(), question["runtime"])
        rows = [model.invoke(sample) for sample in samples.values()]
        answers = {info.name: np.stack([row[info.name] for row in rows]) for info in model.outputs}
    except (ModelFailed, ValueError) as error:
        return {"refusal": str(error)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **answers)
    return {
        "refusal": "",
        "inputs": [info.to_json() for info in model.inputs],
        "outputs": [info.to_json() for info in model.outputs],
        "answers": base64.b64encode(buffer.getvalue()).decode(),
    }


if __name__ == "__main__":
    answer(_run)
