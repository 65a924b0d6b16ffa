"""The commissioning run on a real line, started for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_app.cli import main
from edge_app.inference.guess import Told
from edge_app.jobs import Job, JobStore
from edge_app.models import ModelStore

DATA = Path(__file__).parents[3] / "shared" / "data" / "cifar10"
LABELS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")


@pytest.mark.parametrize("way", ["--config", "--data"])
def test_line_is_driven_and_certified(tmp_path: Path, way: str) -> None:
    """A line that does not run is started, driven with test shots, and stopped again."""
    store = ModelStore(tmp_path / "models")
    told = Told(labels=tuple(LABELS), good=("truck",))
    version = store.add(DATA / "authors_int8.tflite", "cifar", told)
    store.activate("cifar", version.version, measure=False)
    JobStore(tmp_path / "jobs").save(Job(1, "Trucks", "cifar"))
    config = tmp_path / "lineside.toml"
    # A busy machine must not decide this test: what is late is not what it is about.
    told_where = f'[data]\ndir = "{tmp_path}"\n' if way == "--config" else ""
    config.write_text(
        f'{told_where}[cameras.cam1]\nplc = "off"\ndeadline_ms = 5000\n'
        f'source = "folder:{DATA / "images" / "truck"}"\n'
    )

    status = main(
        ["bench", way, str(config if way == "--config" else tmp_path), "--minutes", "0.03"]
    )

    (page,) = (tmp_path / "certificates").glob("*.html")
    document = json.loads(page.with_suffix(".json").read_text())
    assert status == 0
    assert document["outcome"]["passed"]
    assert document["model"]["label"] == "cifar/1"
    assert document["phases"][0]["fired"] > 0
    assert "invoke" in document["laps"]
    assert not (tmp_path / "run" / "cam1.sock").exists()
