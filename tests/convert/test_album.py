"""The user's pictures and labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.album import Album, Photo, fit_album, open_album, read_labels
from convert.errors import Refused
from edge_app.inference.preprocess import Contract
from edge_app.inference.tensor import TensorInfo

INPUT = TensorInfo("picture", (1, 8, 8, 3), "float32")


def _picture(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))


def test_sub_folders_are_labels(tmp_path: Path) -> None:
    """Every picture carries its sub-folder's name; pictures beside them are counted, not taken."""
    _picture(tmp_path / "ok" / "1.png")
    _picture(tmp_path / "bad" / "2.png")
    _picture(tmp_path / "loose.png")
    album = open_album(tmp_path)
    assert (album.folders, album.beside) == (("bad", "ok"), 1)
    assert [photo.label for photo in album.photos] == ["bad", "ok"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """The sentence says what was looked for."""
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(Refused, match=r"holds no pictures \(.*\.jpg"):
        open_album(tmp_path)


def test_a_sample_takes_evenly_from_every_label() -> None:
    """A rare label is not lost among a frequent one, and the same sample comes every time."""
    many = [Photo(Path(f"ok/{n}"), "ok") for n in range(100)]
    few = [Photo(Path(f"bad/{n}"), "bad") for n in range(5)]
    album = Album((*many, *few), ("bad", "ok"))
    assert album.sample(20).counts() == {"bad": 5, "ok": 15}
    assert album.sample(20) == album.sample(20)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("ok\nbad\n", ("ok", "bad")),
        ("0 ok\n1 bad part\n", ("ok", "bad part")),
        ("\ufeffok\r\nbad\r\n\r\n", ("ok", "bad")),
        ("1 ok\n2 bad\n", ("1 ok", "2 bad")),
    ],
)
def test_labels_files(tmp_path: Path, text: str, labels: tuple[str, ...]) -> None:
    """One label a line; numbers that count the lines from zero are left out, others belong."""
    (tmp_path / "labels.txt").write_bytes(text.encode())
    assert read_labels(tmp_path / "labels.txt") == labels


def test_a_label_that_stands_twice_gets_its_place(tmp_path: Path) -> None:
    """So ImageNet's two cranes and COCO's gaps can be told apart."""
    (tmp_path / "labels.txt").write_text("???\ncrane\n???\ncrane\n")
    assert read_labels(tmp_path / "labels.txt") == ("???", "crane", "??? (2)", "crane (3)")


@pytest.mark.parametrize(
    ("text", "said"), [("ok\n\nbad\n", "line 2 of .* is empty"), ("\n", "holds no labels")]
)
def test_labels_files_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    """A line without a label would shift all that follow."""
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(Refused, match=said):
        read_labels(tmp_path / "labels.txt")


def test_damaged_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    """One broken file does not end a conversion."""
    _picture(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    fitted = fit_album(open_album(tmp_path), Contract(), INPUT)
    assert len(fitted.photos) == 1
    assert fitted.skipped[0].startswith("broken.png: ")


def test_an_album_of_damaged_pictures_is_refused(tmp_path: Path) -> None:
    """With nothing to look at there is nothing to prove by."""
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(Refused, match="none of the 1 files"):
        fit_album(open_album(tmp_path), Contract(), INPUT)
