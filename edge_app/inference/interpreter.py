"""The only file that imports a TFLite runtime."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import math
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from edge_app.inference.tensor import Array, TensorInfo, distinct_names

RUNTIMES: dict[str, str] = {
    "litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
"""Name of a runtime and the module that holds its `Interpreter`; the default one first.

One process loads one of them: the libraries' symbols mix otherwise.
"""

DISTRIBUTIONS = {"litert": "ai-edge-litert", "tflite-runtime": "tflite-runtime"}


class ModelFailed(Exception):  # noqa: N818 - the glossary's name, read as a sentence where it is raised
    """The runtime would not load or run the model; the message is the runtime's own."""


def installed_runtimes() -> dict[str, str]:
    """Runtimes found on this device with their versions, without importing any."""
    found = {}
    for runtime, module in RUNTIMES.items():
        if importlib.util.find_spec(module.split(".")[0]) is not None:
            found[runtime] = importlib.metadata.version(DISTRIBUTIONS[runtime])
    return found


def loaded_runtime() -> str:
    """The runtime that this process has loaded and must stay with; empty if none yet."""
    return next((name for name, module in RUNTIMES.items() if module in sys.modules), "")


def default_runtime() -> str:
    """The runtime that is used where nothing was measured or set.

    Raises:
        ModelFailed: None is installed.
    """
    if loaded_runtime():
        return loaded_runtime()
    for runtime in installed_runtimes():
        return runtime
    raise ModelFailed("no TFLite runtime is installed; expected ai-edge-litert or tflite-runtime")


class Interpreter:
    """One loaded model. Not thread-safe: the caller lets one thread in at a time.

    Args:
        flatbuffer: The model; kept alive here as long as the runtime reads from it.
        runtime: A name in `RUNTIMES`.
        threads: Threads the runtime may use for one invoke.

    Raises:
        ModelFailed: The runtime is missing or refuses the model.
    """

    def __init__(self, flatbuffer: bytes, runtime: str, threads: int = 1) -> None:
        self.runtime = runtime
        self.threads = threads
        self._flatbuffer = flatbuffer
        if loaded_runtime() not in ("", runtime):
            raise ModelFailed(
                f"this process runs {loaded_runtime()}; {runtime} needs a process of its own"
            )
        try:
            module = importlib.import_module(RUNTIMES[runtime])
        except KeyError:
            known = ", ".join(RUNTIMES)
            raise ModelFailed(f"there is no runtime {runtime!r}; there are {known}") from None
        except ImportError as error:
            raise ModelFailed(f"runtime {runtime} can't be imported: {error}") from error
        try:
            self._tflite = module.Interpreter(model_content=flatbuffer, num_threads=threads)
            self._tflite.allocate_tensors()
            self._inputs, self._outputs = _border(self._tflite)
        # The runtimes raise ValueError, RuntimeError and SystemError as they please.
        except (ValueError, RuntimeError, SystemError, TypeError, KeyError) as error:
            raise ModelFailed(f"{runtime} refuses the model: {_one_line(error)}") from error
        self.tensor_bytes = self._all_tensors_bytes()

    @cached_property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The model's inputs, in the signature's order."""
        return tuple(_info(name, details) for name, details in self._inputs.items())

    @cached_property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The model's outputs, in the signature's order."""
        return tuple(_info(name, details) for name, details in self._outputs.items())

    @property
    def accelerated(self) -> bool:
        """Whether XNNPACK took over at least a part; without it runs are several times slower."""
        # The only way to know it in both runtimes; should it go, this says False.
        details: list[dict[str, Any]] = getattr(self._tflite, "_get_ops_details", list)()
        return any(entry.get("op_name") == "DELEGATE" for entry in details)

    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            tensors: One array for each input, of its exact shape and type.

        Returns:
            Copies of the outputs by name, as the model gave them (integers stay integers).

        Raises:
            ModelFailed: The runtime gave up, or the arrays don't fit.
        """
        if tensors.keys() != self._inputs.keys():
            raise ModelFailed(
                f"expected inputs {', '.join(self._inputs)}; got {', '.join(tensors) or 'none'}"
            )
        return self._invoke(tensors)

    def invoke_rows(self, rows: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """Run the model once for several rows, as far as it can be widened to them.

        Whatever comes of it, the model takes a single row again afterwards.

        Args:
            rows: As for `invoke`; the first dimension of each array is 1.

        Returns:
            The outputs of each row.

        Raises:
            ModelFailed: The model can't be widened, or gives something else than a row for each.
        """
        stacked = {name: np.concatenate([row[name] for row in rows]) for name in self._inputs}
        try:
            self._widen(len(rows))
            outputs = self._invoke(stacked)
        finally:
            self._widen(1)
        for info in self.outputs:
            shape = outputs[info.name].shape
            if shape != (len(rows), *info.shape[1:]) or info.shape[0] != 1:
                raise ModelFailed(f"{len(rows)} rows gave {info.name} of shape {list(shape)}")
        return [
            {name: values[place : place + 1] for name, values in outputs.items()}
            for place in range(len(rows))
        ]

    def _all_tensors_bytes(self) -> int:
        """The size of all tensors together, weights among them."""
        try:
            return sum(_size_bytes(details) for details in self._tflite.get_tensor_details())
        # A type that numpy lacks: then the weights, which the flatbuffer bounds, stand for all.
        except (ValueError, TypeError, KeyError, RuntimeError):
            return len(self._flatbuffer)

    def _widen(self, rows: int) -> None:
        try:
            for details in self._inputs.values():
                shape = [rows, *details["shape"][1:]]
                self._tflite.resize_tensor_input(details["index"], shape)
            self._tflite.allocate_tensors()
        except (ValueError, RuntimeError, SystemError, TypeError) as error:
            raise ModelFailed(
                f"{self.runtime} can't take {rows} rows: {_one_line(error)}"
            ) from error

    def _invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        try:
            for name, details in self._inputs.items():
                self._tflite.set_tensor(details["index"], tensors[name])
            self._tflite.invoke()
            # get_tensor copies; a view would change under the caller at the next invoke.
            return {
                name: self._tflite.get_tensor(details["index"])
                for name, details in self._outputs.items()
            }
        except (ValueError, RuntimeError, SystemError, TypeError) as error:
            raise ModelFailed(f"{self.runtime} failed to run it: {_one_line(error)}") from error


def _border(tflite: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs by name: the signature's names where the model has exactly one."""
    signatures = tflite.get_signature_list()
    if len(signatures) == 1:
        (key,) = signatures
        runner = tflite.get_signature_runner(key)
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        graph = {d["index"] for d in tflite.get_input_details()}
        # A signature may leave out an input that the graph still has; then the graph decides.
        if {d["index"] for d in inputs.values()} == graph and outputs:
            return inputs, outputs
    return _by_name(tflite.get_input_details()), _by_name(tflite.get_output_details())


def _by_name(details: list[dict[str, Any]]) -> dict[str, Any]:
    names = distinct_names([entry["name"] for entry in details])
    return dict(zip(names, details, strict=True))


def _size_bytes(details: dict[str, Any]) -> int:
    return math.prod(int(size) for size in details["shape"]) * np.dtype(details["dtype"]).itemsize


def _info(name: str, details: dict[str, Any]) -> TensorInfo:
    scale, zero_point = details["quantization"]
    return TensorInfo(
        name=name,
        shape=tuple(int(size) for size in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
