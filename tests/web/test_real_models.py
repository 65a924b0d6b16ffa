"""Models that nobody here made: each is served as it is, or refused, and uploads go on.

`scripts/test --slow -k real_models -o log_cli_level=INFO` prints the table of docs/models.md.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lone_app import PATIENT, LoneApp, lone_app

SHARED = Path(__file__).parents[3] / "shared" / "data"
MODELS = sorted((SHARED / "models").glob("*.tflite")) + sorted(SHARED.glob("cifar10/*.tflite"))
REFUSED = sorted((SHARED / "models" / "refuse").glob("*.tflite"))
PHOTO = SHARED / "photos" / "coral_parrot.jpg"
ACTIVE = SHARED / "models" / "mobilenet_v1_0.25_224_quant.tflite"

log = logging.getLogger(__name__)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data"),
]


@pytest.fixture(scope="module")
def app() -> Iterator[LoneApp]:
    """A running app with one model, to which somebody sends pictures all the time."""
    with tempfile.TemporaryDirectory() as folder:
        with lone_app(Path(folder), inference__model="active") as app:
            assert added(app, ACTIVE, "active")[0] == 201
            activate(app, "active")
            with uploads(app) as told:
                yield app
            status = app.process.poll()
        assert status is None, "the app ended"
        assert len(told) > 20
        assert set(told) == {told[0]}, "an upload to the active model came to harm"


@contextmanager
def uploads(app: LoneApp) -> Iterator[list[str]]:
    """Pictures to the active model meanwhile; what each was answered."""
    told: list[str] = []
    stopping = threading.Event()
    photo = PHOTO.read_bytes()

    def send() -> None:
        headers = {"Content-Type": "image/jpeg", **PATIENT}
        while not stopping.wait(0.05):
            status, document = app.ask("POST", "/predict", photo, headers)
            told.append(f"{status} {document.get('predicted_class', document)}")

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield told
    finally:
        stopping.set()
        sender.join()


def added(app: LoneApp, path: Path, name: str, query: str = "") -> tuple[int, Any]:
    """The answer to the upload of a model file."""
    return app.ask("POST", f"/api/v1/models?name={name}{query}", path.read_bytes())


def activate(app: LoneApp, name: str) -> None:
    """Let it run."""
    path = f"/api/v1/models/{name}/versions/1/activate?measure=0"
    status, document = app.ask("POST", path)
    assert status == 200, document


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_it_is_added_and_served(app: LoneApp, path: Path) -> None:
    """Without a word about it: added, proved, activated and asked, all over HTTP."""
    name = path.stem[:60]
    status, document = added(app, path, name)
    assert status == 201, document

    activate(app, name)

    _, about = app.ask("GET", f"/api/v1/models/{name}")
    if len(about["inputs"][0]["shape"]) == 4:
        answer = app.predict(PHOTO.read_bytes(), name)
        assert answer["class_scores"] or answer["detections"]
        best = [f"{found['label']} {found['score']:.2f}" for found in answer["detections"]]
        said = best[0] if best else f"{answer['predicted_class']} {answer['confidence']:.2f}"
    else:
        numbers = json.dumps({"input": np.zeros(about["inputs"][0]["shape"]).tolist()})
        headers = {"Content-Type": "application/json", **PATIENT}
        status, outputs = app.ask("POST", f"/predict/{name}", numbers.encode(), headers)
        assert status == 200, outputs
        (values,) = outputs.values()
        assert np.isfinite(values).all()
        said = f"{np.size(values)} finite numbers"
    log.info("| `%s` | %s | %s |", path.name, about["task"], said)


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_it_is_refused_with_a_sentence(app: LoneApp, path: Path) -> None:
    """One line that says why; nothing of it is kept."""
    status, document = added(app, path, "refused")

    sentence = document["error"]["message"]
    assert (status, document["error"]["code"]) == (409, "refused")
    assert "\n" not in sentence
    assert 30 < len(sentence) < 300
    assert app.ask("GET", "/api/v1/models/refused")[0] == 404
    log.info("| `%s` | %s |", path.name, sentence)
