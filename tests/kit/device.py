"""A device to send requests to: the whole app around a small model that tells colours apart."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flask.testing import FlaskClient
from PIL import Image as Pillow

from edge_app.access import Access
from edge_app.config import AppSettings
from edge_app.crew import Crew
from edge_app.disk import Disk
from edge_app.door import Door
from edge_app.engines import Engines
from edge_app.inference.acceptance import Proof
from edge_app.inference.bundle import ModelBundle, ModelSpec, pack_bundle
from edge_app.inference.engine import Engine
from edge_app.inference.interpreter import ModelFailed
from edge_app.inference.judge import Limits
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import Array, TensorInfo
from edge_app.lines import Lines
from edge_app.metrics import Metrics
from edge_app.models import ModelStore
from edge_app.recent_log import RecentLog
from edge_app.records.archive import Archive
from edge_app.records.database import Database
from edge_app.records.ids import Ids, leaser
from edge_app.records.inspection import Inspection
from edge_app.records.ledger import Ledger
from edge_app.records.recorder import Recorder
from edge_app.room import Room
from edge_app.status import AppStatus
from edge_app.surroundings import Surroundings
from edge_app.tally import Tally
from edge_app.upload import CAMERA
from edge_app.uploads import Uploads
from edge_app.vitals import Sensors
from edge_app.watched import Watched
from edge_app.web.factory import create_app

SIDE = 8
LABELS = ("red", "green", "blue")
PICTURE = TensorInfo("picture", (1, SIDE, SIDE, 3), "float32")
SCORES = TensorInfo("scores", (1, len(LABELS)), "float32")


class Colours:
    """Stands for an interpreter: the score of a colour is its share of the light.

    Tests let it stall, take its time or fail.
    """

    runtime = "toy"
    threads = 1
    tensor_bytes = 0
    inputs = (PICTURE,)
    outputs = (SCORES,)

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.takes_s = 0.0
        self.failing = ""
        self.runs = 0
        self.nonsense = False

    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """The shares of red, green and blue."""
        self.runs += 1
        self.go_on.wait(20)
        time.sleep(self.takes_s)
        if self.failing:
            raise ModelFailed(self.failing)
        light = tensors["picture"].astype(np.float32).mean(axis=(1, 2))
        if self.nonsense:
            light = light * np.float32("nan")
        return {"scores": light / np.maximum(light.sum(axis=1, keepdims=True), 1e-9)}

    def invoke_rows(self, rows: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """One after the other."""
        return [self.invoke(row) for row in rows]


def colour_bundle(name: str = "colours", marker: str = "a", size: int = 68) -> ModelBundle:
    """A model file for `Colours` of that many bytes; red is good."""
    spec = ModelSpec(
        name,
        Task("classification", LABELS),
        (PICTURE,),
        (SCORES,),
        Contract(),
        Limits(good=("red",), accept=0.9, reject=0.5),
    )
    return ModelBundle(b"TFL3" + marker.encode() * (size - 4), spec)


def picture(colour: str = "red", width: int = 32, height: int = 24, kind: str = "PNG") -> bytes:
    """A picture file of one colour."""
    buffer = io.BytesIO()
    Pillow.new("RGB", (width, height), colour).save(buffer, kind)
    return buffer.getvalue()


class Device:
    """The app with everything behind it, as `lineside-app` builds it.

    Args:
        data_dir: Its data directory.
        settings: Of the app.
        cameras: Names of its cameras; nobody answers on their sockets unless a test does.
        models_bytes: Memory for its models.
        sensors: Of the machine; this one's by default.
    """

    def __init__(
        self,
        data_dir: Path,
        settings: AppSettings | None = None,
        cameras: tuple[str, ...] = (),
        models_bytes: int = 256_000_000,
        sensors: Sensors | None = None,
    ) -> None:
        self.data_dir = data_dir
        # A busy machine must not make tests fail that are not about time.
        self.settings = settings or AppSettings(deadline_ms=5000, open_access="all")
        self.model = Colours()
        self.store = ModelStore(data_dir / "models", prove=lambda *_, **__: Proof(""))
        self.default = "colours"
        self.engines = Engines(self.store, self._load, lambda: self.default, Room(models_bytes))
        ids = Ids(leaser(self.database_path))
        self.tally = Tally(self.database_path)
        self.seen: list[Inspection] = []
        self.uploads = Uploads(
            engines=self.engines,
            door=Door(places=self.settings.threads),
            crew=Crew(3),
            ids=ids,
            recorder=Recorder(self.database_path, self.tally.counters, ids.refill),
            archive=Archive(
                data_dir / "images" / CAMERA,
                max_bytes=10_000_000,
                min_free_bytes=0,
                keep_ok_one_in=1,
            ),
            max_bytes=self.settings.max_body_mb * 1_000_000,
            max_pixels=int(self.settings.max_megapixels * 1_000_000),
        )
        ids.refill()
        self.access = Access(data_dir)
        self.recent = RecentLog()
        self.lines = Lines(data_dir / "run", list(cameras))
        surroundings = Surroundings(Disk(data_dir, 30), sensors or Sensors())
        archive = self.uploads.archive
        ledger = Ledger(data_dir / "written.json", {"pictures": lambda: archive.written_bytes})
        watched = Watched(self.uploads, self.lines, surroundings, ledger, data_dir)
        self.metrics = Metrics(watched)
        self.uploads.watch(self.seen.append, self.tally.count, self.metrics.inspected)
        self.app = create_app(
            uploads=self.uploads,
            lines=self.lines,
            status=AppStatus(watched),
            tally=self.tally,
            metrics=self.metrics,
            access=self.access,
            recent=self.recent,
            data_dir=data_dir,
            settings=self.settings,
            in_force="[app]\nport = 8080\n",
        )

    @property
    def database_path(self) -> Path:
        """Where the records are."""
        return self.data_dir / "records.db"

    @property
    def client(self) -> FlaskClient:
        """A client without any network."""
        return self.app.test_client()

    def install(
        self,
        name: str = "colours",
        marker: str = "a",
        size: int = 68,
        bundle: ModelBundle | None = None,
    ) -> None:
        """Make a model's new version the active one; a bundle of that name in place of colours."""
        packed = pack_bundle(bundle or colour_bundle(name, marker, size))
        version = self.store.add_content(packed)
        self.store.activate(name, version.version, measure=False)
        self.engines.refresh()

    def start(self) -> Device:
        """Start all threads but the models' and the lines'."""
        self.uploads.crew.start()
        self.uploads.recorder.start()
        self.uploads.archive.start()
        return self

    def stop(self) -> None:
        """Stop them."""
        self.model.go_on.set()
        self.uploads.crew.stop()
        self.uploads.archive.stop()
        self.uploads.recorder.stop()

    def record(self, inspection_id: int) -> Inspection:
        """What is on disk of an inspection; waits for it for a moment."""
        return until(lambda: self._on_disk(inspection_id))

    def _on_disk(self, inspection_id: int) -> Inspection | None:
        database = Database(self.database_path)
        try:
            return database.inspection(inspection_id)
        finally:
            database.close()

    def _load(self, _version: object, bundle: ModelBundle) -> Engine:
        return Engine(bundle, "toy", 1, load=lambda *_: self.model)


def until(look: Callable[[], Any], within_s: float = 3.0) -> Any:
    """The first true thing that `look` gives; fails after a while."""
    ends_at = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < ends_at, "it did not come"
        time.sleep(0.01)
    return found
