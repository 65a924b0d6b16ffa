"""What is to be converted: SavedModel, .h5, .keras or .tflite, brought into one form.

Everything but `.tflite` becomes a SavedModel in a scratch folder with one signature and
a batch of one. A fixed batch spares the model its shape arithmetic, without which the
runtimes' fast path takes all of it. Signatures are read from the protobuf: some models
that convert well can't be loaded with `tf.saved_model.load`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from convert.errors import Refused
from edge_app.inference.tensor import TensorInfo

Kind = Literal["savedmodel", "keras", "tflite"]

KERAS = {
    ".keras": ("a zip", b"PK\x03\x04"),
    ".h5": ("HDF5", b"\x89HDF\r\n\x1a\n"),
    ".hdf5": ("HDF5", b"\x89HDF\r\n\x1a\n"),
}
"""Forms of Keras files by suffix, and what they begin with."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user said about the model's border.

    Args:
        signature: Which signature; empty to choose.
        tags: Which graph of the SavedModel; empty to choose.
        shapes: Full shape by input name, where the model leaves sizes open; the
            empty name stands for the only input.
        binary: The single output is the second of two classes' score: give out both.
        activation: Needed for `binary`: `sigmoid` when that output is a logit.
    """

    signature: str = ""
    tags: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    binary: bool = False
    activation: str = "none"


@dataclass(frozen=True, slots=True)
class Source:
    """A model ready to be converted.

    Args:
        path: What the user gave, or the version folder inside it.
        kind: Which of the forms it has.
        sha256: Hash over its files.
        prepared: The normalised SavedModel (for `.tflite` the file itself).
        signature: The signature that was chosen.
        tags: The graph that was chosen.
        inputs: Float model's inputs, batch of one.
        outputs: Float model's outputs; -1 where a size is known only when it runs.
        notes: What was decided on the way, in sentences.
    """

    path: Path
    kind: Kind
    sha256: str
    prepared: Path
    signature: str
    tags: tuple[str, ...]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Provenance, as kept in the model file."""
        return {
            "file": self.path.name,
            "kind": self.kind,
            "sha256": self.sha256,
            "signature": self.signature,
            "tags": list(self.tags),
        }


def locate(path: Path) -> tuple[Path, Kind, tuple[str, ...]]:
    """Find the model in what the user gave; with notes on what was decided.

    Raises:
        Refused: It is none of the known forms.
    """
    if not path.exists():
        raise Refused(f"there is no {path}")
    if path.is_file():
        if path.suffix.lower() == ".tflite":
            return path, "tflite", ()
        if path.suffix.lower() in KERAS:
            _check_keras(path)
            return path, "keras", ()
        if path.name == "saved_model.pb":
            return path.parent, "savedmodel", ()
        raise Refused(
            f"expected a SavedModel folder, .keras, .h5 or .tflite; got the file {path.name}"
        )
    return _locate_folder(path)


def _check_keras(path: Path) -> None:
    """Refuse a file of another form than its name's, which Keras would call "not found"."""
    form, magic = KERAS[path.suffix.lower()]
    with path.open("rb") as file:
        begin = file.read(len(magic))
    if begin != magic:
        raise Refused(f"{path.name} is no Keras model: expected {form} inside, got {begin!r}")


def _locate_folder(path: Path) -> tuple[Path, Kind, tuple[str, ...]]:
    if (path / "saved_model.pb").is_file():
        return path, "savedmodel", ()
    inside = [child for child in path.iterdir() if (child / "saved_model.pb").is_file()]
    versions = sorted((c for c in inside if c.name.isdigit()), key=lambda c: int(c.name))
    if versions:
        return versions[-1], "savedmodel", (f"took version {versions[-1].name} of {path.name}",)
    if len(inside) == 1:
        return inside[0], "savedmodel", (f"took {inside[0].name} in {path.name}",)
    if (path / "saved_model.pbtxt").is_file():
        raise Refused(f"{path} is a SavedModel in text form; export it in binary form")
    raise Refused(f"{path} is no SavedModel: it holds no saved_model.pb")


def labels_beside(model: Path) -> Path | None:
    """A labels file that was exported together with the model, as Teachable Machine does."""
    inside = [model / "labels.txt", model / "assets" / "labels.txt"] if model.is_dir() else []
    teachable = model.name in ("model.savedmodel", "keras_model.h5")
    beside = [model.parent / "labels.txt"] if teachable else []
    return next((path for path in inside + beside if path.is_file()), None)


def hash_of(path: Path) -> str:
    """SHA-256 over a file, or over the names and contents of a folder's files."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(str(file.relative_to(path)).encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def picture_input(inputs: Sequence[TensorInfo]) -> TensorInfo | None:
    """The input that takes a picture `[1, height, width, 1 or 3]`; None if there is none.

    Raises:
        Refused: It takes pictures in a form that the device does not make.
    """
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        return None
    (tensor,) = inputs
    batch, first, _, last = tensor.shape
    if batch not in (1, -1):
        raise Refused(
            f"input {tensor.name!r} has shape {list(tensor.shape)}: expected a batch of 1 or an "
            f"open one, got a fixed batch of {batch}; export the model with an open batch"
        )
    if last in (1, 3):
        return tensor
    if first in (1, 3):
        raise Refused(
            f"input {tensor.name!r} has shape {list(tensor.shape)}: its channels come first; "
            "export the model with channels last (NHWC)"
        )
    return None
