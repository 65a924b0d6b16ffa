"""The user's pictures: a folder whose sub-folders are the labels."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.child import Progress, silent
from convert.errors import Refused
from edge_app.inference.decode import BadImage, decode_image
from edge_app.inference.guess import distinct
from edge_app.inference.preprocess import Contract, Preprocessor
from edge_app.inference.tensor import Array, TensorInfo

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"))


@dataclass(frozen=True, slots=True)
class Photo:
    """One picture file; `label` is its sub-folder's name, empty without one."""

    path: Path
    label: str = ""


@dataclass(frozen=True, slots=True)
class Album:
    """Pictures and the folders they lie in.

    Args:
        photos: In the order of their paths.
        folders: Names of the sub-folders that hold pictures, sorted.
        beside: Pictures beside the sub-folders, which have no label and are left out.
    """

    photos: tuple[Photo, ...]
    folders: tuple[str, ...]
    beside: int = 0

    def sample(self, count: int, seed: int = 0) -> Album:
        """At most `count` pictures, evenly from every label, the same ones every time."""
        shuffled = list(self.photos)
        random.Random(seed).shuffle(shuffled)  # noqa: S311 - a fair choice, no secret
        piles = [[p for p in shuffled if p.label == label] for label in self._labels()]
        chosen: list[Photo] = []
        while len(chosen) < count and any(piles):
            chosen += [pile.pop() for pile in piles if pile]
        return Album(tuple(sorted(chosen[:count], key=lambda p: p.path)), self.folders)

    def _labels(self) -> list[str]:
        return sorted({photo.label for photo in self.photos})

    def counts(self) -> dict[str, int]:
        """How many pictures each label has."""
        return {label: sum(p.label == label for p in self.photos) for label in self._labels()}

    def indices(self, labels: Sequence[str]) -> Array:
        """Place of each picture's label in the model's list; -1 for none."""
        places = {label: place for place, label in enumerate(labels)}
        return np.array([places.get(photo.label, -1) for photo in self.photos], dtype=np.int64)


def open_album(folder: Path) -> Album:
    """Find the pictures in a folder, or in its sub-folders where it has some.

    Raises:
        Refused: No such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise Refused(f"expected a folder of pictures, got {folder}")
    below = sorted(child for child in folder.iterdir() if _is_shown_folder(child))
    labelled = [Photo(path, child.name) for child in below for path in _pictures(child.rglob("*"))]
    loose = [Photo(path) for path in _pictures(folder.iterdir())]
    photos = labelled or loose
    if not photos:
        raise Refused(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return Album(
        tuple(photos),
        tuple(sorted({photo.label for photo in labelled})),
        len(loose) if labelled else 0,
    )


def _is_shown_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _pictures(paths: Iterable[Path]) -> list[Path]:
    return sorted(p for p in paths if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def read_labels(path: Path) -> tuple[str, ...]:
    """Labels of a file, one a line; a leading number that counts the lines is left out.

    The lists of ImageNet and COCO name classes alike: those get their place behind them.

    Raises:
        Refused: Unreadable, or empty as a whole or in a line.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"can't read the labels in {path}: {error}") from error
    while lines and not lines[-1]:
        lines.pop()
    numbered = [re.fullmatch(r"(\d+)[\s:,]+(.+)", line) for line in lines]
    # Teachable Machine and many label maps write "0 ok", "1 defective".
    if lines and all(m and int(m[1]) == place for place, m in enumerate(numbered)):
        lines = [m[2] for m in numbered if m]
    if not lines:
        raise Refused(f"{path} holds no labels")
    if not all(lines):
        raise Refused(f"expected one label a line, line {lines.index('') + 1} of {path} is empty")
    return distinct(tuple(lines))


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pictures fitted to a model, not yet normalised.

    Args:
        values: uint8 [n, height, width, channels] in the contract's colour order.
        photos: Where each came from.
        skipped: Files that could not be read, with the reason.
    """

    values: Array
    photos: tuple[Photo, ...]
    skipped: tuple[str, ...] = ()


def fit_album(
    album: Album, contract: Contract, tensor: TensorInfo, progress: Progress = silent
) -> Pixels:
    """Decode every picture and fit it as the device will.

    Raises:
        Refused: None of the files is a picture, or the model takes no such pictures.
    """
    try:
        preprocessor = Preprocessor(contract, tensor)
    except ValueError as error:
        raise Refused(str(error)) from error
    fitted, photos, skipped = [], [], []
    for done, photo in enumerate(album.photos, 1):
        try:
            pixels, _ = preprocessor.fit(decode_image(photo.path.read_bytes()))
        except (BadImage, OSError) as error:
            skipped.append(f"{photo.path.name}: {error}")
            continue
        finally:
            progress(done, len(album.photos))
        fitted.append(pixels)
        photos.append(photo)
    if not fitted:
        raise Refused(f"none of the {len(skipped)} files is a readable picture: {skipped[0]}")
    return Pixels(np.stack(fitted), tuple(photos), tuple(skipped))
