"""A foreign `.tflite` file becomes a model file of ours: what it means, and a golden set.

What the file says of itself (TFLite metadata, a YOLO exporter's note) is believed, what
the person says goes before it, and what neither says is told from the tensors and from a
first run, and noted as assumed.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.bundle import Golden, ModelBundle, ModelSpec
from edge_app.inference.child import MEMORY_BYTES
from edge_app.inference.guess import Told, guess_contract, guess_task
from edge_app.inference.judge import Limits
from edge_app.inference.metadata import FileFacts, read_facts
from edge_app.inference.preprocess import Contract, Preprocessor
from edge_app.inference.tasks import interpret
from edge_app.inference.tensor import Array, TensorInfo
from edge_app.inference.trial import Trial, TrialFailed, run_trial

GOLDEN_TOLERANCE = 0.2
"""Drawn pictures are unlike any photo and bring runtimes further apart: 0.13 was measured."""


class CannotAdopt(Exception):  # noqa: N818 - read as a sentence where it is raised
    """The file can't be used on this device; the message is one sentence that says why."""


def adopt(
    content: bytes,
    name: str,
    told: Told | None = None,
    *,
    source: str = "",
    memory_bytes: int = MEMORY_BYTES,
) -> ModelBundle:
    """Make a model file of ours from a foreign one.

    The same content and words give the same file again.

    Args:
        content: The whole foreign file.
        name: What to call the model.
        told: What a person says of it.
        source: Where it came from, for the record.
        memory_bytes: Address space for its first run.

    Returns:
        The bundle; `spec.made["assumed"]` lists what nobody said.

    Raises:
        CannotAdopt: No runtime here can run it, or what was told does not fit it.
    """
    told, assumed = told or Told(), list[str]()
    try:
        facts = read_facts(content)
        _check_border(facts)
        flatbuffer = without_zip(content)
        contract = guess_contract(facts, told, assumed)
        pictures = _pictures(facts, contract)
        samples = _samples(facts, contract, pictures)
        trial = _tried(flatbuffer, facts, samples, memory_bytes)
        real = {info.name: info.dequantize(trial.answers[info.name]) for info in trial.outputs}
        task = guess_task(facts, told, trial.inputs, real, assumed)
        if told.good and not set(told.good) <= set(task.labels):
            raise ValueError(f"good labels the model does not have: {', '.join(told.good)}")
        spec = ModelSpec(
            name=name,
            task=task,
            inputs=trial.inputs,
            outputs=trial.outputs,
            contract=contract,
            # A detector's scores are lower than a classifier's, also where it is right.
            limits=Limits((), 0.6, 0.4) if task.kind == "detection" else Limits(told.good),
            mode=trial.inputs[0].dtype if trial.inputs[0].quantized else "as it came",
            made={
                "source": source,
                "source_sha256": hashlib.sha256(content).hexdigest(),
                "author": facts.author,
                "license": facts.license,
                "proved_in": trial.runtime,
                "assumed": assumed,
            },
            comparison={"tolerance": GOLDEN_TOLERANCE},
        )
        bundle = ModelBundle(flatbuffer, spec, _golden(samples, pictures, trial))
        _check_answers(bundle, samples, trial, real)
    except ValueError as error:
        raise CannotAdopt(str(error)) from error
    return bundle


def _golden(samples: list[dict[str, Array]], pictures: list[Array], trial: Trial) -> Golden:
    if pictures:
        return Golden({trial.inputs[0].name: np.stack(pictures)}, {}, trial.answers)
    inputs = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
    return Golden(inputs, {}, trial.answers)


def _check_answers(
    bundle: ModelBundle,
    samples: list[dict[str, Array]],
    trial: Trial,
    real: Mapping[str, NDArray[np.float32]],
) -> None:
    """Every answer of the first run must be one that the task can be read from."""
    for place, sample in enumerate(samples):
        inputs = {info.name: info.dequantize(sample[info.name]) for info in trial.inputs}
        outputs = {name: values[place] for name, values in real.items()}
        if not interpret(bundle.spec.task, outputs, inputs=inputs).sound:
            raise ValueError("it answers plain pictures with numbers that are none")


def without_zip(content: bytes) -> bytes:
    """The flatbuffer alone: ours takes the place of the zip behind it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            starts = [entry.header_offset for entry in archive.infolist()]
    except zipfile.BadZipFile:
        return content
    return content[: min(starts)] if starts else content


def _check_border(facts: FileFacts) -> None:
    for tensor in (*facts.inputs, *facts.outputs):
        try:
            known = np.dtype(tensor.dtype).kind in "iufb"
        except TypeError:
            known = False
        if not known:
            raise ValueError(
                f"tensor {tensor.name!r} holds {tensor.dtype}; expected numbers of 8 to 64 bits"
            )
    if any(size < 1 for tensor in facts.inputs for size in tensor.shape[1:]):
        raise ValueError("an input's size is not fixed; convert the model with a fixed one")
    if not facts.inputs or not facts.outputs:
        raise ValueError("the model has no inputs or no outputs")
    if sum(int(np.prod(tensor.shape[1:])) for tensor in facts.inputs) > 1 << 26:
        raise ValueError("the model's inputs are larger than any picture that is taken")


def _tried(
    flatbuffer: bytes, facts: FileFacts, samples: list[dict[str, Array]], memory_bytes: int
) -> Trial:
    try:
        return run_trial(flatbuffer, samples, memory_bytes)
    except TrialFailed as error:
        raise CannotAdopt(_why(facts, str(error))) from error


def _why(facts: FileFacts, reason: str) -> str:
    """The runtime's reason, in words for a person where its cause is known."""
    foreign = [name for name in facts.custom if name != "TFLite_Detection_PostProcess"]
    if "edgetpu-custom-op" in foreign:
        return "it was compiled for an Edge TPU; use the file from before that step"
    flex = [name for name in foreign if name.startswith("Flex")]
    names = ", ".join(flex[:5] or foreign[:5])
    if flex:
        return (
            f"it needs operators of TensorFlow itself ({names}), which no device runtime has; "
            "convert it without them"
        )
    if foreign:
        return f"it needs operators that are not part of TFLite: {names}"
    return f"it can't be run here: {reason if len(reason) <= 160 else reason[:160] + '...'}"


def _pictures(facts: FileFacts, contract: Contract | None) -> list[Array]:
    """Pictures of the model's size that need no camera: a gradient, noise, and blocks."""
    if contract is None:
        return []
    _, height, width, channels = facts.inputs[0].shape
    random = np.random.default_rng(7)
    down, across = np.mgrid[0:height, 0:width]
    gradient = np.stack([down * 255 / height, across * 255 / width, 255 - down * 255 / height], 2)
    blocks = random.integers(0, 256, (4, 4, 3)).repeat(-(-height // 4), 0).repeat(-(-width // 4), 1)
    noise = random.integers(0, 256, (height, width, 3))
    return [
        np.ascontiguousarray(picture[:height, :width, :channels].astype(np.uint8))
        for picture in (gradient, noise, blocks)
    ]


def _samples(
    facts: FileFacts, contract: Contract | None, pictures: list[Array]
) -> list[dict[str, Array]]:
    if contract is not None:
        tensor = facts.inputs[0]
        preprocessor = Preprocessor(contract, tensor)
        return [{tensor.name: preprocessor.normalise(picture)} for picture in pictures]
    random = np.random.default_rng(7)
    return [{info.name: _random(info, random) for info in facts.inputs} for _ in range(3)]


def _random(tensor: TensorInfo, random: np.random.Generator) -> Array:
    values = random.normal(size=[max(1, size) for size in tensor.shape])
    if tensor.quantized:
        return tensor.quantize(values)
    # Unquantized integers count or name things: small ones, none below zero.
    whole = np.dtype(tensor.dtype).kind in "iub"
    numbers: Array = (np.abs(values) if whole else values).astype(tensor.dtype)
    return numbers
