"""The prepared model to TFLite, in one mode. Runs in the TensorFlow child."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from convert.calibration import Samples
from convert.child import Progress
from convert.errors import CannotConvert, one_line
from convert.source import Source
from edge_app.inference.tensor import Array

Mode = Literal["float32", "float16", "dynamic", "int8", "int8-mixed", "int16x8", "as given"]
Border = Literal["uint8", "int8", "float32"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a TFLite model.

    Args:
        mode: The quantization.
        border: Type of the input and output tensors of an int8 model.
        float_nodes: Operations to leave in float, by the debugger's names.
    """

    mode: Mode
    border: Border = "uint8"
    float_nodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A TFLite model and what it took.

    Args:
        flatbuffer: The model.
        recipe: How it was made.
        seconds: Time in the converter.
        peak_mb: The process's largest memory so far.
        notes: What had to be given up, in sentences.
    """

    flatbuffer: bytes
    recipe: Recipe
    seconds: float
    peak_mb: float
    notes: tuple[str, ...] = ()


def warm_up(progress: Progress) -> str:
    """Import TensorFlow; returns its version."""
    import tensorflow as tf  # noqa: PLC0415 - only this child may load it

    progress(1, 1)
    return str(tf.__version__)


def convert(
    progress: Progress, source: Source, recipe: Recipe, calibration: Samples | None
) -> Made:
    """Make the model.

    Raises:
        CannotConvert: The converter gives up, with its own reason.
    """
    begun = time.monotonic()
    try:
        flatbuffer, notes = _convert(source, recipe, calibration, progress)
    except CannotConvert:
        raise
    # The converter raises whatever its passes do.
    except Exception as error:
        raise CannotConvert(reason(error)) from error
    return Made(flatbuffer, recipe, time.monotonic() - begun, peak_mb(), notes)


def _convert(
    source: Source, recipe: Recipe, calibration: Samples | None, progress: Progress
) -> tuple[bytes, tuple[str, ...]]:
    if recipe.mode.startswith("int") and calibration is None:
        raise CannotConvert(f"mode {recipe.mode} needs samples to calibrate with")
    converter = configured(source, recipe, calibration, progress)
    try:
        return bytes(converter.convert()), ()
    # An operation without an integer kernel: the rest can still be quantized.
    except Exception as error:
        if not recipe.mode.startswith("int") or "not supported" not in str(error).lower():
            raise
        converter = configured(source, recipe, calibration, progress, strict=False)
        note = f"not everything exists in integers: {reason(error)}"
        return bytes(converter.convert()), (note,)


def configured(
    source: Source,
    recipe: Recipe,
    calibration: Samples | None,
    progress: Progress,
    *,
    strict: bool = True,
) -> Any:
    """A converter for this recipe; with `strict` every operation must exist in integers."""
    import tensorflow as tf  # noqa: PLC0415

    converter = _reader()(
        str(source.prepared), set(source.tags), saved_model_exported_names=[source.signature]
    )
    # Per-channel dense weights need FULLY_CONNECTED version 12, which tflite-runtime 2.14 has not.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001
    if recipe.mode == "float32":
        return converter
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe.mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if recipe.mode.startswith("int"):
        assert calibration is not None  # noqa: S101 - checked by the caller
        converter.representative_dataset = _feeds(source, calibration, progress)
        converter.target_spec.supported_ops = _operations(recipe, strict=strict)
    if recipe.mode.startswith("int8"):
        border = getattr(tf, recipe.border)
        converter.inference_input_type = converter.inference_output_type = border
    return converter


def _operations(recipe: Recipe, *, strict: bool) -> list[Any]:
    from tensorflow.lite.python.lite import OpsSet  # noqa: PLC0415

    integer = (
        OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        if recipe.mode == "int16x8"
        else OpsSet.TFLITE_BUILTINS_INT8
    )
    return [integer] if strict else [integer, OpsSet.TFLITE_BUILTINS]


def _reader() -> Any:
    """The SavedModel converter without its `tf.saved_model.load`, which is for debug marks only."""
    from tensorflow.lite.python import lite  # noqa: PLC0415

    class FromProtobuf(lite.TFLiteSavedModelConverterV2):  # type: ignore[misc] # untyped base
        def convert(self) -> bytes:
            """Convert what the loader reads from the protobuf."""
            graph, _, _ = self._load_saved_model(self.saved_model_dir, self._saved_model_tags)
            return bytes(self._convert_from_saved_model(graph))

    return FromProtobuf


def _feeds(
    source: Source, calibration: Samples, progress: Progress
) -> Callable[[], Iterator[dict[str, Array]]]:
    def feeds() -> Iterator[dict[str, Array]]:
        for done, tensors in enumerate(calibration.tensors(source.inputs), 1):
            yield tensors
            progress(done, len(calibration))

    return feeds


def reason(error: BaseException) -> str:
    """The part of a converter's error that a person can use."""
    text = str(error)
    for mark in ("error: ", "Some ops are not supported"):
        if mark in text:
            text = text[text.index(mark) :]
            break
    return one_line(ValueError(text), 240)


def peak_mb() -> float:
    """Largest resident memory of this process, in megabytes."""
    import resource  # noqa: PLC0415 - Unix only, as this child's host may not be

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
