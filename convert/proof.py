"""Running a TFLite model in one installed runtime. Runs in that runtime's own child."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convert.calibration import Samples
from convert.child import Progress
from convert.errors import CannotConvert, Refused
from edge_app.inference.interpreter import Interpreter, ModelFailed
from edge_app.inference.tensor import Array, TensorInfo

TIMED, TIMED_S = 30, 2.0
"""Samples, and seconds, that a runtime and number of threads is timed with."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a model answered in one runtime.

    Args:
        runtime: Which one.
        threads: How many it used.
        inputs: The model's inputs as the runtime sees them.
        outputs: Its outputs.
        raw: Answers by output name, [n, *shape], as the model gave them.
        invoke_ms: Median milliseconds of one invoke.
    """

    runtime: str
    threads: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    raw: Mapping[str, Array]
    invoke_ms: float

    def real(self) -> dict[str, Array]:
        """The answers in real values."""
        return {info.name: info.dequantize(self.raw[info.name]) for info in self.outputs}


def run(
    progress: Progress, flatbuffer: bytes, runtime: str, samples: Samples, threads: int = 1
) -> Run:
    """Answer every sample.

    Raises:
        CannotConvert: The runtime refuses the model or gives up on it.
        Refused: The samples don't fit its inputs.
    """
    interpreter = _load(flatbuffer, runtime, threads)
    spent: list[float] = []
    rows: list[dict[str, Array]] = []
    try:
        for tensors in samples.tensors(interpreter.inputs):
            begun = time.perf_counter()
            rows.append(interpreter.invoke(tensors))
            spent.append((time.perf_counter() - begun) * 1000)
            progress(len(rows), len(samples))
        # Shapes that follow from the picture, as of detectors, are known only now.
        outputs = interpreter.outputs
        raw = {info.name: np.stack([row[info.name] for row in rows]) for info in outputs}
    except ModelFailed as error:
        raise CannotConvert(str(error)) from error
    except (ValueError, KeyError, IndexError) as error:
        raise Refused(f"the samples don't fit the model: {error}") from error
    return Run(runtime, threads, interpreter.inputs, outputs, raw, float(np.median(spent)))


def time_invoke(
    progress: Progress, flatbuffer: bytes, runtime: str, samples: Samples, threads: int
) -> float:
    """Median milliseconds of one invoke, from a few seconds of them at most.

    Raises:
        CannotConvert: The runtime refuses the model or gives up on it.
    """
    interpreter = _load(flatbuffer, runtime, threads)
    spent: list[float] = []
    begun = time.monotonic()
    try:
        for tensors in samples.tensors(interpreter.inputs):
            started = time.perf_counter()
            interpreter.invoke(tensors)
            spent.append((time.perf_counter() - started) * 1000)
            progress(len(spent), TIMED)
            if len(spent) == TIMED or time.monotonic() - begun > TIMED_S:
                break
    except ModelFailed as error:
        raise CannotConvert(str(error)) from error
    # The first invokes pack weights and fill caches.
    return float(np.median(spent[2:] or spent))


def _load(flatbuffer: bytes, runtime: str, threads: int = 1) -> Interpreter:
    try:
        return Interpreter(flatbuffer, runtime, threads)
    except ModelFailed as error:
        raise CannotConvert(str(error)) from error
