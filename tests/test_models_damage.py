"""Damaged model files: none stops the service, and none that answers differently is activated."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from damage import damaged

import edge_app
from edge_app.inference.bundle import read_bundle
from edge_app.models import ModelStore, StoreError

DEMO = Path(edge_app.__file__).parent / "demo" / "model.tflite"
SCRIPT = Path(__file__).with_name("damage_models.py")


def test_no_damaged_model_file_is_ever_taken(tmp_path: Path) -> None:
    """A thousand damaged copies of a good file: all are refused before any runtime sees them."""
    good = DEMO.read_bytes()
    store = ModelStore(tmp_path / "models")
    version = store.add_content(good, "flange")
    random = np.random.default_rng(21)

    for _ in range(1000):
        broken = damaged(good, random)
        if broken == good:
            continue
        with pytest.raises(StoreError):
            store.add_content(broken, "flange")

    assert store.versions("flange") == [version]


@pytest.mark.slow
def test_a_running_app_takes_no_harm_from_damaged_models() -> None:
    """Thirty copies, with real proofs; `damage_models.py 1000` sends more of them."""
    command = [sys.executable, str(SCRIPT), "30"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)

    assert done.returncode == 0, done.stderr
    assert "damaged: activated" not in done.stdout
    assert "foreign: activated" not in done.stdout


def test_a_damaged_file_from_elsewhere_is_told_by_its_checksum(tmp_path: Path) -> None:
    """One changed weight shows nowhere else; the same file, whole, is taken."""
    good = read_bundle(DEMO).flatbuffer
    told = hashlib.sha256(good).hexdigest()
    broken = bytearray(good)
    broken[len(broken) // 2] ^= 1
    store = ModelStore(tmp_path / "models")

    with pytest.raises(StoreError, match=f"expected SHA-256 {told}, got "):
        store.add_content(bytes(broken), "bare", sha256=told)

    assert store.versions("bare") == []
    assert store.add_content(good, "bare", sha256=told.upper()).version == 1
