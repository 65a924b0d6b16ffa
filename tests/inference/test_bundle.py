"""The model file: what goes in comes out, or nothing does."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.inference.bundle import (
    BundleError,
    Golden,
    ModelBundle,
    ModelSpec,
    pack_bundle,
    read_bundle,
    unpack_bundle,
    write_bundle,
)
from edge_app.inference.limits import Band, CountRule, Limits
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import TensorInfo


def full_bundle() -> ModelBundle:
    """A bundle in which every field says something."""
    spec = ModelSpec(
        name="caps",
        task=Task(
            "detection", ("cap", "scratch"), layout="ssd", order=("a", "b", "c", "d"), overlap=0.6
        ),
        inputs=(TensorInfo("image", (1, 4, 4, 3), "uint8", 0.5, 3),),
        outputs=tuple(TensorInfo(name, (1, 2), "float32") for name in "abcd"),
        contract=Contract("BGR", "letterbox", "area", (1.0, 2.0, 3.0), (4.0,)),
        limits=Limits(
            ("cap",),
            0.8,
            0.4,
            classes={"scratch": Band(0.3, 0.1)},
            counts=(CountRule("cap", 1, 2, 10.0, 99.0), CountRule("scratch", 0, 0, 4.0)),
            areas={"scratch": Band(0.01, 0.02)},
            anomaly=Band(3.0, 5.0),
            area=Band(0.1, 0.2),
            pixel=0.5,
        ),
        mode="int8",
        made={"created_at": "2026-01-01", "converter": "1"},
        calibration={"samples": 100},
        comparison={"agreement": 0.99},
    )
    golden = Golden(
        {"image": np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)},
        {"a": np.ones((1, 2), np.float32)},
        {"a": np.ones((1, 2), np.float32), "b": np.zeros((1, 2), np.int8)},
    )
    return ModelBundle(b"\x00\x01\x02\x03TFL3" + bytes(range(256)) * 8, spec, golden)


def test_a_bundle_comes_back_as_it_was(tmp_path: Path) -> None:
    """Every field, every array, every byte of the model."""
    bundle = full_bundle()
    write_bundle(tmp_path / "caps.tflite", bundle)

    back = read_bundle(tmp_path / "caps.tflite")

    assert back.flatbuffer == bundle.flatbuffer
    assert back.spec == bundle.spec
    assert back.golden is not None
    assert bundle.golden is not None
    for part in ("inputs", "float_outputs", "quantized_outputs"):
        was, now = getattr(bundle.golden, part), getattr(back.golden, part)
        assert was.keys() == now.keys()
        assert all((was[key] == now[key]).all() for key in was)
        assert all(was[key].dtype == now[key].dtype for key in was)
    assert len(back.golden) == 1


def test_packing_twice_gives_the_same_bytes() -> None:
    """So a hash of the file is a name for it."""
    assert pack_bundle(full_bundle()) == pack_bundle(full_bundle())


def test_other_tools_can_open_it() -> None:
    """It begins with the flatbuffer, and any unzip finds the rest."""
    content = pack_bundle(full_bundle())

    assert content.startswith(full_bundle().flatbuffer)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["lineside.json", "labels.txt", "golden.npz"]
        assert archive.read("labels.txt") == b"cap\nscratch\n"


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    """A flipped bit, a cut, bytes in between: anywhere in the file."""
    content = pack_bundle(full_bundle())
    place = data.draw(st.integers(0, len(content) - 1))
    damage = data.draw(st.sampled_from(["flip", "cut", "insert", "zero"]))
    if damage == "flip":
        changed = bytearray(content)
        changed[place] ^= 1 << data.draw(st.integers(0, 7))
        broken = bytes(changed)
    elif damage == "cut":
        broken = content[:place]
    elif damage == "insert":
        broken = content[:place] + b"\x00" + content[place:]
    else:
        broken = content[:place] + b"\x00" * 64 + content[place + 64 :]
    if broken == content:
        return

    with pytest.raises(BundleError):
        unpack_bundle(broken)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\x05\x06" + bytes(18), bytes(1000)])
def test_what_is_no_bundle_is_told_so(content: bytes) -> None:
    """A plain model is no damaged one."""
    with pytest.raises(BundleError, match=r"holds no lineside.json"):
        unpack_bundle(content)


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    """With its path and the system's reason."""
    with pytest.raises(BundleError, match="No such file"):
        read_bundle(tmp_path / "none.tflite")


def reseal(document: dict[str, object]) -> bytes:
    """A file with a valid checksum around any `lineside.json`."""
    bundle = full_bundle()

    class Spec:
        task = bundle.spec.task

        def to_json(self) -> dict[str, object]:
            return document

    return pack_bundle(ModelBundle(bundle.flatbuffer, Spec()))  # type: ignore[arg-type]  # forged


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"task": {"kind": "astrology", "labels": [], "activation": "none"}},
        {"task": {"kind": "classification", "labels": ["a", "a"], "activation": "none"}},
        {"limits": {"good": [], "accept": 0.1, "reject": 0.9}},
        {"contract": {"color": "RGB"}},
        {"inputs": [{"name": "x"}]},
        {"inputs": 7},
        {"name": None, "task": None},
    ],
)
def test_a_sound_file_that_says_nonsense_is_refused(change: dict[str, object]) -> None:
    """A checksum proves what was written, not that it makes sense."""
    document = full_bundle().spec.to_json()
    assert unpack_bundle(reseal(document)).spec == full_bundle().spec

    with pytest.raises(BundleError):
        unpack_bundle(reseal(document | change))


def test_writing_leaves_the_old_file_until_the_new_one_is_whole(
    tmp_path: Path, make_bundle: Callable[..., ModelBundle]
) -> None:
    """And nothing else behind, also when it fails."""
    path = tmp_path / "model.tflite"
    write_bundle(path, make_bundle(flatbuffer=b"old"))
    write_bundle(path, make_bundle(flatbuffer=b"new"))

    assert read_bundle(path).flatbuffer == b"new"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        write_bundle(tmp_path / "missing" / "model.tflite", make_bundle())


def test_a_zip_that_unpacks_to_far_more_is_refused() -> None:
    """A small file must not fill the memory, whatever its checksum says."""
    bundle = full_bundle()
    huge = Golden({"image": np.zeros((1, 16 * 1024 * 1024 * 13), np.uint8)}, {}, {})

    with pytest.raises(BundleError, match="unpacks to"):
        unpack_bundle(pack_bundle(ModelBundle(bundle.flatbuffer, bundle.spec, huge)))
