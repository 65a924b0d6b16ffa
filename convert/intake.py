"""What the user gave, checked and brought together: model, pictures, labels."""

from __future__ import annotations

import argparse
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convert.album import Album, open_album, read_labels
from convert.calibration import Samples
from convert.console import Console
from convert.errors import Refused
from convert.options import range_of
from convert.source import Kind, Source, Wish, hash_of, labels_beside, locate, picture_input
from convert.workbench import Workbench
from edge_app.inference.adopt import CannotAdopt, adopt
from edge_app.inference.bundle import ModelBundle
from edge_app.inference.guess import Told
from edge_app.inference.tensor import Array, TensorInfo


@dataclass(frozen=True, slots=True)
class Intake:
    """The user's model, pictures and labels.

    Args:
        source: The model in the one form.
        adopted: What a `.tflite` was found to be; None for everything else.
        album: The pictures; None if there are none.
        labels: In the model's order; empty if nobody names them.
    """

    source: Source
    adopted: ModelBundle | None
    album: Album | None
    labels: tuple[str, ...]


def take_in(options: argparse.Namespace, console: Console, bench: Workbench) -> Intake:
    """Read the model, the pictures' folder and the labels.

    Raises:
        ConvertError: One of them can't be used.
    """
    path, kind, notes = locate(options.source)
    album = open_album(options.images) if options.images else None
    if album and album.beside:
        console.warn(f"{album.beside} pictures beside the sub-folders have no label: left out")
    if kind == "tflite":
        return _adopted(options, console, path, album)
    labels = _labels(options, console, album, path)
    source = _prepared(options, bench, path, kind, binary=False)
    if len(labels) == 2 and single_score(source) and options.task in (None, "classification"):
        source = _prepared(options, bench, path, kind, binary=True)
    for note in (*notes, *source.notes):
        console.say(note)
    _check_samples(options, source)
    return Intake(source, None, album, labels)


def _prepared(
    options: argparse.Namespace, bench: Workbench, path: Path, kind: Kind, *, binary: bool
) -> Source:
    wish = Wish(
        signature=options.signature,
        tags=options.tags,
        shapes=dict(options.input_shape),
        binary=binary,
        activation=options.activation or "none",
    )
    return bench.prepare(path, kind, wish)


def _check_samples(options: argparse.Namespace, source: Source) -> None:
    """Refuse pictures or tensors that the model would never be shown."""
    takes_pictures = picture_input(source.inputs) is not None
    if options.images and options.samples:
        raise Refused("give --images or --samples, not both")
    if options.images and not takes_pictures:
        inputs = ", ".join(f"{info.name!r} {list(info.shape)}" for info in source.inputs)
        raise Refused(
            "--images is for a model with one input [1, height, width, 1 or 3]; "
            f"this one takes {inputs}: give arrays for that with --samples"
        )


def single_score(source: Source) -> bool:
    """Whether the model gives one number a picture: the second of two classes' score."""
    return len(source.outputs) == 1 and source.outputs[0].shape in ((-1, 1), (1, 1), (-1,), (1,))


def _labels(
    options: argparse.Namespace, console: Console, album: Album | None, model: Path
) -> tuple[str, ...]:
    """Labels in the model's order: the labels file's, else the sorted sub-folders'."""
    file = options.labels or labels_beside(model)
    if file is None:
        folders = album.folders if album else ()
        if folders:
            console.say(f"labels, in the order of the sorted sub-folders: {some(folders)}")
        return folders
    labels = read_labels(file)
    console.say(f"labels, in the order of {file.name}: {some(labels)}")
    strangers = [folder for folder in (album.folders if album else ()) if folder not in labels]
    if strangers:
        raise Refused(f"sub-folders that are no label in {file.name}: {', '.join(strangers)}")
    return labels


def some(labels: tuple[str, ...], count: int = 8) -> str:
    """The first labels, and how many there are."""
    more = f" … ({len(labels)} in all)" if len(labels) > count else ""
    return ", ".join(labels[:count]) + more


def _adopted(
    options: argparse.Namespace, console: Console, path: Path, album: Album | None
) -> Intake:
    mean, std = range_of(options)
    told = Told(
        task=options.task,
        labels=read_labels(options.labels) if options.labels else (),
        color=options.color,
        resize=options.resize,
        kernel=options.kernel,
        mean=mean,
        std=std,
        activation=options.activation,
    )
    try:
        bundle = adopt(path.read_bytes(), options.name or path.stem, told, source=path.name)
    except CannotAdopt as error:
        raise Refused(f"{path.name}: {error}") from error
    for sentence in bundle.spec.made.get("assumed", ()):
        console.say(f"assumed: {sentence}")
    labels = bundle.spec.task.labels
    if album and album.folders and not set(album.folders) <= set(labels):
        console.warn("the sub-folders' names are not the model's labels and are not looked at")
        album = Album(tuple(replace(photo, label="") for photo in album.photos), ())
    source = Source(
        path=path,
        kind="tflite",
        sha256=hash_of(path),
        prepared=path,
        signature="",
        tags=(),
        inputs=bundle.spec.inputs,
        outputs=bundle.spec.outputs,
    )
    _check_samples(options, source)
    return Intake(source, bundle, album, labels)


def read_samples(path: Path, inputs: tuple[TensorInfo, ...], count: int) -> Samples:
    """Input tensors of an `.npz`: one array for each input, samples first.

    Raises:
        Refused: Unreadable, or an array does not fit its input.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise Refused(f"can't read the samples in {path}: {error}") from error
    if found.keys() != {info.name for info in inputs}:
        raise Refused(
            f"{path.name} must hold the arrays {', '.join(i.name for i in inputs)}; "
            f"it holds {', '.join(found) or 'none'}"
        )
    rows = {info.name: _rows(found[info.name], info) for info in inputs}
    if len({len(values) for values in rows.values()}) != 1:
        raise Refused(f"the arrays in {path.name} differ in their number of samples")
    return Samples({name: values[:count] for name, values in rows.items()}, None)


def _rows(values: Array, info: TensorInfo) -> Array:
    """Samples of the input's own shape; the batch of one may be left out of the file."""
    size = int(np.prod(info.shape))
    if values.ndim < 1 or not len(values) or values[0].size != size:
        raise Refused(
            f"samples of input {info.name!r} must have the shape {list(info.shape)}, "
            f"the array is {list(values.shape)}"
        )
    if not np.isfinite(values).all():
        raise Refused(f"samples of input {info.name!r} hold numbers that are none")
    return values.reshape(len(values), *info.shape)


def random_samples(inputs: tuple[TensorInfo, ...], count: int = 32) -> Samples:
    """Stand-ins where nobody gave samples: enough to prove that a model runs, no more."""
    random = np.random.default_rng(7)
    return Samples(
        {
            info.name: info.dequantize(random.integers(-100, 100, (count, *info.shape)))
            if info.quantized
            else random.uniform(-1, 1, (count, *info.shape)).astype(info.dtype)
            for info in inputs
        },
        None,
    )
