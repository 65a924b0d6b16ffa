"""What a foreign model takes and gives, told from its file, its maker and a first run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.detection import ssd_order
from edge_app.inference.metadata import FileFacts
from edge_app.inference.preprocess import Color, Contract, Kernel, Resize
from edge_app.inference.tasks import Activation, Layout, Task, TaskKind
from edge_app.inference.tensor import TensorInfo

Real = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Told:
    """What a person says of a file; whatever is empty is read from the file or assumed."""

    task: TaskKind | None = None
    labels: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    color: Color | None = None
    resize: Resize | None = None
    kernel: Kernel | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    activation: Activation | None = None


def guess_contract(facts: FileFacts, told: Told, assumed: list[str]) -> Contract | None:
    """How a picture becomes the input; None for a model that takes no picture.

    Args:
        facts: What the file says.
        told: What the person says.
        assumed: Gets a sentence for everything that neither says.
    """
    tensor = facts.inputs[0]
    pictures = len(facts.inputs) == 1 and len(tensor.shape) == 4 and tensor.shape[3] in (1, 3)
    if not pictures:
        return None
    color: Color = told.color or ("GREY" if tensor.shape[3] == 1 else "RGB")
    mean, std = told.mean or facts.mean, told.std or facts.std
    if facts.note and not mean:
        mean, std = (0.0,), (255.0,)
    raw_mean, raw_std = _as_they_are(tensor)
    if (mean or std) and not told.mean and not told.std and _nearly_raw(tensor, mean, std):
        # Written as 127.5 and quantized around 128, the maker means the plain pixels.
        mean, std = raw_mean, raw_std
    if not mean and not std:
        mean, std = raw_mean, raw_std
        if not _bytes(tensor):
            mean, std = (0.0,), (255.0,)
            assumed.append("pixels become 0 to 1 (the file does not say; --mean and --std tell it)")
    if not told.resize and not facts.note:
        assumed.append("the whole picture is stretched to the model's size (--resize tells it)")
    return Contract(
        color=color,
        resize=told.resize or ("letterbox" if facts.note else "stretch"),
        # Photos are much larger than inputs: averaging loses no detail between samples.
        kernel=told.kernel or "area",
        mean=mean or (0.0,),
        std=std or (1.0,),
    )


def _as_they_are(tensor: TensorInfo) -> tuple[tuple[float], tuple[float]]:
    """Mean and std by which a quantized input gets the pixels themselves (int8: minus 128)."""
    if not _bytes(tensor):
        return (0.0,), (1.0,)
    shift = 128 if tensor.dtype == "int8" else 0
    return (float(tensor.zero_point + shift),), (1.0 / tensor.scale,)


def _bytes(tensor: TensorInfo) -> bool:
    return tensor.quantized and tensor.dtype in ("uint8", "int8")


def _nearly_raw(tensor: TensorInfo, mean: tuple[float, ...], std: tuple[float, ...]) -> bool:
    if not _bytes(tensor) or len(mean) != 1 or len(std) != 1 or not std[0]:
        return False
    (raw_mean,), (raw_std,) = _as_they_are(tensor)
    pixels = np.array([0.0, 255.0])
    apart = (pixels - mean[0]) / std[0] - (pixels - raw_mean) / raw_std
    return bool(np.abs(apart).max() <= 1.01 * tensor.scale)


def guess_task(
    facts: FileFacts,
    told: Told,
    inputs: tuple[TensorInfo, ...],
    answers: Mapping[str, Real],
    assumed: list[str],
) -> Task:
    """What the outputs mean.

    Args:
        facts: What the file says.
        told: What the person says.
        inputs: The model's inputs.
        answers: Real values by output name, the batch of one from each of several runs:
            [runs, 1, ...].
        assumed: Gets a sentence for everything that neither says.

    Raises:
        ValueError: The labels do not fit the outputs, or the task can't be told.
    """
    names = facts.note.get("names", {})
    note_labels = tuple(names.values()) if isinstance(names, dict) else tuple(names)
    labels = tuple(map(str, told.labels or facts.labels or note_labels))
    kind, layout = _kind(facts, told, inputs, answers, labels)
    if told.task is None and not _certain(facts):
        assumed.append(f"its task is {kind} (--task tells it)")
    if kind in ("anomaly", "autoencoder", "raw"):
        return Task(kind)
    first = next(iter(answers.values()))
    if layout == "ssd":
        order = ssd_order({name: values[0] for name, values in answers.items()})
        classes = 1 + int(np.nan_to_num(answers[order[1]]).max())
        named = _named(labels[1:] if _has_background(labels) else labels, classes, exact=False)
        least = facts.score_threshold
        return Task(
            kind, named, layout="ssd", order=order, least_score=0.25 if least is None else least
        )
    if layout == "yolo":
        unit = "pixels" if float(np.nan_to_num(_yolo_sizes(first, len(labels))).max()) > 2 else ""
        return Task(
            kind,
            distinct(labels),
            layout="yolo",
            box_unit="pixels" if unit else "normalised",
        )
    named = _named(labels, first.shape[-1], exact=True)
    if not labels:
        assumed.append("its classes have no names (--labels tells them)")
    return Task(kind, named, told.activation or _activation(first))


def _certain(facts: FileFacts) -> bool:
    return "TFLite_Detection_PostProcess" in facts.custom or "task" in facts.note


def _kind(
    facts: FileFacts,
    told: Told,
    inputs: tuple[TensorInfo, ...],
    answers: Mapping[str, Real],
    labels: tuple[str, ...],
) -> tuple[TaskKind, Layout]:
    shapes = [values.shape[1:] for values in answers.values()]
    if told.task not in (None, "detection"):
        return told.task or "raw", ""
    if "TFLite_Detection_PostProcess" in facts.custom or (told.task and len(shapes) == 4):
        return "detection", "ssd"
    if told.task or facts.note.get("task") == "detect" or _looks_like_yolo(shapes, len(labels)):
        if not labels:
            raise ValueError("a YOLO's boxes can't be read without its labels; tell them")
        return "detection", "yolo"
    return _kind_by_shape(inputs, shapes, len(labels)), ""


def _kind_by_shape(
    inputs: tuple[TensorInfo, ...], shapes: list[tuple[int, ...]], labels: int
) -> TaskKind:
    if len(inputs) != 1 or len(shapes) != 1:
        return "raw"
    goes_in, comes_out = inputs[0].shape, shapes[0]
    if goes_in[1:] == comes_out[1:] and labels != comes_out[-1]:
        return "autoencoder"
    if len(goes_in) != 4:
        return "raw"
    if len(comes_out) == 4 and comes_out[3] > 1:
        return "segmentation"
    kinds: dict[int, TaskKind] = {2: "classification", 3: "anomaly", 4: "anomaly"}
    return kinds.get(len(comes_out), "raw")


def _looks_like_yolo(shapes: list[tuple[int, ...]], labels: int) -> bool:
    if len(shapes) != 1 or len(shapes[0]) != 3 or not labels:
        return False
    return bool({4 + labels, 5 + labels} & set(shapes[0][1:])) and max(shapes[0][1:]) > 100


def _yolo_sizes(values: Real, labels: int) -> Real:
    """Widths and heights of all boxes of all runs."""
    rows = values.reshape(-1, *values.shape[2:])
    if rows.shape[2] not in (4 + labels, 5 + labels):
        rows = rows.transpose(0, 2, 1)
    return rows[:, :, 2:4]


def _has_background(labels: tuple[str, ...]) -> bool:
    return bool(labels) and labels[0].lower() in ("???", "background", "__background__")


def _named(labels: tuple[str, ...], classes: int, *, exact: bool) -> tuple[str, ...]:
    """A name for each class.

    Args:
        labels: As they were given; none gives numbers.
        classes: How many there are, or at least are.
        exact: Whether more labels than classes is a mistake.

    Raises:
        ValueError: Labels and classes don't fit together.
    """
    if not labels:
        return tuple(f"class {place}" for place in range(classes if exact else max(classes, 90)))
    if len(labels) == classes + 1 and exact and _has_background(labels):
        labels = labels[1:]
    elif len(labels) == classes - 1 and exact:
        labels = ("background", *labels)
    if len(labels) < classes or (exact and len(labels) > classes):
        raise ValueError(
            f"the model tells {classes} classes apart; {len(labels)} labels were given"
        )
    return distinct(labels)


def distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The same labels, those that are empty or stand twice with their place behind them."""
    named = []
    for place, label in enumerate(labels):
        text = label.strip()
        doubled = text in (other.strip() for other in labels[:place])
        named.append(f"{text} ({place})" if doubled else text or f"class {place}")
    return tuple(named)


def _activation(values: Real) -> Activation:
    """Whether the outputs are scores already: from 0 to 1, or numbers without bounds."""
    return "none" if values.min() >= -0.01 and values.max() <= 1.01 else "softmax"
