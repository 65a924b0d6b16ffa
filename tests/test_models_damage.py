"""Damaged model files: none stops the service, and none that answers differently is activated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_app.inference.adopt import adopt
from edge_app.inference.bundle import pack_bundle
from edge_app.models import ModelStore, StoreError

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real test data is not here")


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Bits flipped, an end cut off, a stretch zeroed or moved, the zip's end damaged."""
    broken = bytearray(content)
    place = int(random.integers(0, len(broken)))
    kind = random.integers(0, 5)
    if kind == 0:
        for spot in random.integers(0, len(broken), int(random.integers(1, 9))):
            broken[spot] ^= 1 << int(random.integers(0, 8))
    elif kind == 1:
        del broken[place:]
    elif kind == 2:
        broken[place : place + 512] = bytes(len(broken[place : place + 512]))
    elif kind == 3:
        del broken[place : place + int(random.integers(1, 512))]
    else:
        broken[-int(random.integers(1, 200))] ^= 0xFF
    return bytes(broken)


def test_no_damaged_model_file_is_ever_taken(tmp_path: Path) -> None:
    """A thousand damaged copies of a good file: all are refused before any runtime sees them."""
    good = pack_bundle(adopt((DATA / "models" / "vww_96_int8.tflite").read_bytes(), "vww"))
    store = ModelStore(tmp_path / "models")
    version = store.add_content(good)
    store.activate("vww", version.version, measure=False)
    random = np.random.default_rng(21)

    for _ in range(1000):
        broken = damaged(good, random)
        if broken == good:
            continue
        with pytest.raises(StoreError):
            store.add_content(broken)

    assert store.versions("vww") == [version]
    assert store.start("vww").version == version


@pytest.mark.parametrize("count", [8, pytest.param(120, marks=pytest.mark.slow)])
def test_a_damaged_foreign_file_harms_nobody(tmp_path: Path, count: int) -> None:
    """Without a checksum the weights may be wrong, but this process and its model go on."""
    content = (DATA / "cifar10" / "authors_int8.tflite").read_bytes()
    store = ModelStore(tmp_path / "models")
    random = np.random.default_rng(22)
    for _ in range(count):
        try:
            version = store.add_content(damaged(content, random), "cifar")
            store.activate("cifar", version.version, measure=False)
        except StoreError as error:
            assert "\n" not in str(error)  # noqa: PT017 - some are taken, others say why not

    active = store.active("cifar")
    assert active is None or store.start("cifar").version == active
