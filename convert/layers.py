"""Which layers int8 ruins, by TensorFlow's quantization debugger, and a model without those.

The debugger's model computes every layer twice, in integers and in float from the same
inputs. A layer is ruined when single channels of its output are lost in the step size
that the others need: the error is taken by channel, against what the channel carries.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.calibration import Samples
from convert.child import Progress
from convert.errors import CannotConvert
from convert.quantize import Made, Recipe, configured, peak_mb, reason
from convert.source import Source
from edge_app.inference.tensor import Array

LOOKED_AT = 16
"""Samples the debugger runs: it is slow, and a ruined layer shows on each of them."""

DEAD = 1e-6
"""A channel whose values spread less carries nothing that could be lost."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A tensor that suffers from int8.

    Args:
        name: The tensor's, as the graph has it.
        error: Share of its channels' signal that is lost, 0..1.
        nodes: What must be left in float to spare it: its maker and its users.
    """

    name: str
    error: float
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """A calibrated model and what was found in it; the worst suspects first."""

    calibrated: bytes
    suspects: tuple[Suspect, ...]


def examine(progress: Progress, source: Source, recipe: Recipe, calibration: Samples) -> Examined:
    """Find the layers that int8 ruins. Runs in the TensorFlow child.

    Raises:
        CannotConvert: The converter can't calibrate or instrument the model.
    """
    from tensorflow.lite.python.convert import mlir_quantize  # noqa: PLC0415

    converter = configured(source, recipe, calibration, progress, strict=False)
    converter._experimental_calibrate_only = True  # noqa: SLF001 - as the debugger itself does
    try:
        calibrated = bytes(converter.convert())
        instrumented = mlir_quantize(
            calibrated, enable_numeric_verify=True, disable_per_channel_for_dense_layers=True
        )
        few = calibration.take(range(min(LOOKED_AT, len(calibration))))
        errors = _errors(bytes(instrumented), source, few, progress)
        around = _neighbours(calibrated)
    # The converter raises whatever its passes do.
    except Exception as error:
        raise CannotConvert(f"the layers can't be examined: {reason(error)}") from error
    found = [Suspect(n, e, (n, *around[n])) for n, e in errors.items() if n in around]
    return Examined(calibrated, tuple(sorted(found, key=lambda s: -s.error)))


def convert_mixed(progress: Progress, recipe: Recipe, examined: Examined) -> Made:
    """An int8 model in which `recipe.float_nodes` stay in float."""
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow.lite.python.convert import mlir_quantize  # noqa: PLC0415

    begun = time.monotonic()
    border = getattr(tf, recipe.border)
    try:
        made = mlir_quantize(
            examined.calibrated,
            input_data_type=border,
            output_data_type=border,
            denylisted_nodes=list(recipe.float_nodes),
            disable_per_channel_for_dense_layers=True,
        )
    # The converter raises whatever its passes do.
    except Exception as error:
        raise CannotConvert(reason(error)) from error
    progress(1, 1)
    return Made(bytes(made), recipe, time.monotonic() - begun, peak_mb())


def _interpreter(flatbuffer: bytes, *, keep_all: bool) -> Any:
    import tensorflow as tf  # noqa: PLC0415

    kind = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(
        model_content=flatbuffer,
        experimental_op_resolver_type=kind,
        experimental_preserve_all_tensors=keep_all,
    )
    interpreter.allocate_tensors()
    return interpreter


def _errors(
    instrumented: bytes, source: Source, samples: Samples, progress: Progress
) -> dict[str, float]:
    """Mean share of signal lost, by the name of the float tensor."""
    interpreter = _interpreter(instrumented, keep_all=True)
    names = {d["index"]: d["name"] for d in interpreter.get_tensor_details()}
    operations = interpreter._get_ops_details()  # noqa: SLF001 - as the debugger itself does
    makers = {int(out): op for op in operations for out in op["outputs"]}
    pairs = [op["inputs"] for op in operations if op["op_name"] == "NumericVerify"]
    inputs = {d["name"]: d["index"] for d in interpreter.get_input_details()}
    runner = dict(zip(_in_order(interpreter, source), inputs.values(), strict=True))
    lost: dict[str, list[float]] = {}
    for done, tensors in enumerate(samples.tensors(source.inputs), 1):
        for name, value in tensors.items():
            interpreter.set_tensor(runner[name], value)
        interpreter.invoke()
        for quantized, floating in pairs:
            error = _lost(interpreter, int(quantized), int(floating))
            lost.setdefault(names[_undone(makers, int(floating))], []).append(error)
        progress(done, len(samples))
    return {name: float(np.mean(values)) for name, values in lost.items()}


def _in_order(interpreter: Any, source: Source) -> list[str]:
    """The signature's input names in the order of the graph's inputs."""
    (key,) = interpreter.get_signature_list()
    details = interpreter.get_signature_runner(key).get_input_details()
    order = {d["index"]: name for name, d in details.items()}
    names = [order[d["index"]] for d in interpreter.get_input_details()]
    return names or [info.name for info in source.inputs]


def _undone(makers: dict[int, Any], tensor: int) -> int:
    """Where a layer has no float twin, the debugger dequantizes: the name is one step before."""
    maker = makers.get(tensor)
    if maker is not None and maker["op_name"] == "DEQUANTIZE":
        return int(maker["inputs"][0])
    return tensor


def _lost(interpreter: Any, quantized: int, floating: int) -> float:
    """Share of signal that the integers lose, averaged over the channels that carry any."""
    details = interpreter._get_tensor_details(quantized, 0)  # noqa: SLF001 - no public way
    scale, zero = details["quantization"]
    truth = _by_channel(interpreter.get_tensor(floating))
    seen = (_by_channel(interpreter.get_tensor(quantized)) - zero) * scale
    spread = truth.std(axis=0)
    alive = spread > max(DEAD, DEAD * float(np.abs(truth).max()))
    if not alive.any():
        return 0.0
    error = np.sqrt(((truth - seen) ** 2).mean(axis=0))[alive] / spread[alive]
    return float(np.minimum(error, 1.0).mean())


def _by_channel(values: Array) -> Array:
    wide = values.astype(np.float64)
    return wide.reshape(-1, wide.shape[-1]) if wide.ndim > 2 else wide.reshape(-1, 1)


def _neighbours(calibrated: bytes) -> dict[str, list[str]]:
    """By a tensor's name: the outputs of the operations that use it."""
    interpreter = _interpreter(calibrated, keep_all=False)
    names = {d["index"]: d["name"] for d in interpreter.get_tensor_details()}
    around: dict[str, list[str]] = {}
    for op in interpreter._get_ops_details():  # noqa: SLF001 - no public way
        outputs = [names[out] for out in op["outputs"] if out in names]
        for name in outputs:
            around.setdefault(name, [])
        for used in op["inputs"]:
            if used in names:
                around.setdefault(names[used], []).extend(outputs)
    return around


def most(suspects: Sequence[Suspect], count: int) -> tuple[str, ...]:
    """What to leave in float to spare the worst `count` suspects."""
    return tuple(dict.fromkeys(node for s in suspects[:count] for node in s.nodes))
