"""A whole line in this process: real loop, recorder, archive and PLC port; a model of our own."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fail_safe
import numpy as np
import pytest

from camera.capture import Capture
from camera.control import Control
from camera.entry import record_expired
from camera.frame import Frame
from camera.line import Line
from camera.loader import LoadedJob
from camera.plc.http import PlcHttp
from camera.plc.record import PlcRecord
from camera.sources import Source, SourceLost
from camera.sources.pattern import PatternSource
from camera.station import Station
from camera.wire import WireServer
from edge_app.inference.bundle import ModelBundle, ModelSpec
from edge_app.inference.engine import Engine
from edge_app.inference.judge import Limits
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import Array, TensorInfo
from edge_app.jobs import Job, JobError
from edge_app.records.archive import Archive
from edge_app.records.database import Database
from edge_app.records.ids import Ids
from edge_app.records.recorder import Recorder


def pytest_configure(config: pytest.Config) -> None:
    """Some tests are rows of docs/fail-safe.md."""
    fail_safe.configure(config)


INPUT = TensorInfo("image", (1, 16, 64, 3), "float32")
OUTPUT = TensorInfo("scores", (1, 2), "float32")
LABELS = ("good", "bad")


class Eyes:
    """A model that calls bright pictures good, and does what the test tells it before."""

    runtime = "fake"
    threads = 1
    tensor_bytes = 0
    inputs = (INPUT,)
    outputs = (OUTPUT,)

    def __init__(self) -> None:
        self.before: Callable[[], None] = lambda: None
        self.before_blank: Callable[[], None] = lambda: None
        self.invokes = 0

    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Bright is good."""
        self.invokes += 1
        # Blank is what a model is warmed up and tested with.
        (self.before if tensors["image"].any() else self.before_blank)()
        good = float(tensors["image"].mean() > 0.3)
        return {"scores": np.array([[good, 1 - good]], np.float32)}

    def invoke_rows(self, rows: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """One after the other."""
        return [self.invoke(row) for row in rows]


class ScriptedSource:
    """A camera that gives what the test puts in front of it."""

    on_demand = False

    def __init__(self) -> None:
        self.frames: list[Frame | Exception] = []
        self.opened = 0
        self.arrived = threading.Condition()

    def show(self, *frames: Frame | Exception) -> None:
        """What comes next."""
        with self.arrived:
            self.frames.extend(frames)
            self.arrived.notify_all()

    def open(self) -> None:
        """Count."""
        self.opened += 1

    def read(self) -> Frame:
        """The next one; lost when nothing comes for five seconds."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: self.frames, timeout=5):
                raise SourceLost("the script is over")
            frame = self.frames.pop(0)
        if isinstance(frame, Exception):
            raise frame
        return frame

    def close(self) -> None:
        """Wake a reader."""


def fake_job(number: int, eyes: Eyes, **settings: Any) -> LoadedJob:
    """A job that runs a fake model."""
    spec = ModelSpec(
        "eyes", Task("classification", LABELS), (INPUT,), (OUTPUT,), Contract(kernel="area")
    )
    engine = Engine(ModelBundle(b"", spec), "fake", load=lambda *_: eyes)
    job = Job(number, f"job {number}", "eyes", **settings)
    return LoadedJob(job, engine, "eyes/1", Limits(good=("good",)), crc=number)


class Rig:
    """A running line.

    Args:
        folder: Where its records go.
        source: The camera; a drawn pattern at 50 Hz by default.
        jobs: By number; job 1 by default.
        deadline_ms: Long enough for a machine that is busy with other things.
    """

    def __init__(
        self,
        folder: Path,
        source: Source | None = None,
        *,
        jobs: Mapping[int, Callable[[], LoadedJob]] | None = None,
        deadline_ms: float = 5000.0,
        replay_window_s: float = 2.0,
        access: str = "control",
        allow: str = "",
        frozen_s: float = 0.0,
        min_free_bytes: int = 0,
        **line: Any,
    ) -> None:
        self.folder = folder
        self.eyes = Eyes()
        self.source = source or PatternSource(640, 480, 50)
        self.jobs = {1: lambda: fake_job(1, self.eyes)} if jobs is None else jobs
        self.path = folder / "records.db"
        self.recorder = Recorder(self.path, counters=lambda: self.station.counters())  # noqa: PLW0108 - it is made below
        self.archive = Archive(
            folder / "images", max_bytes=10**8, min_free_bytes=min_free_bytes, keep_ok_one_in=0
        )
        self.station = Station(
            new_id=Ids(self._lease).next,
            deadline_ms=deadline_ms,
            replay_window_s=replay_window_s,
            camera="cam1",
            counters=self.kept(),
            answered=record_expired(self.recorder, "cam1"),
            missed=self.recorder.keep_counters,
        )
        self.line = Line(
            name="cam1",
            capture=Capture(lambda: self.source, "cam1", frozen_s),
            station=self.station,
            recorder=self.recorder,
            archive=self.archive,
            load=self._load,
            **line,
        )
        self.server = WireServer(("127.0.0.1", 0), PlcHttp(self.line, access, allow), "plc")
        self.port = int(self.server.server_address[1])
        self.control = WireServer(folder / "cam1.sock", Control(self.line), "control")
        self.thread = threading.Thread(target=self.line.run, name="line")

    def start(self, *, wait_for_frame: bool = True) -> Rig:
        """Run, and wait until the first job and the first frame are there."""
        self.recorder.start()
        self.archive.start()
        self.line.capture.start()
        self.server.start()
        self.control.start()
        self.line.load_job(1)
        self.thread.start()
        until(lambda: not self.line.loading)
        if wait_for_frame:
            until(lambda: self.line.capture.state().state == "live")
        return self

    def stop(self) -> None:
        """Stop in the order in which the program does."""
        self.line.stop()
        if self.thread.ident:
            self.thread.join(10)
        for server in (self.server, self.control):
            if self.thread.ident:
                server.stop()
            else:
                server.server_close()
        if self.thread.ident:
            self.line.capture.stop()
            self.archive.stop()
            self.recorder.stop()

    def _load(self, number: int) -> LoadedJob:
        if number not in self.jobs:
            raise JobError(f"there is no job {number}")
        return self.jobs[number]()

    def _lease(self, count: int) -> range:
        return self.with_database(lambda database: database.lease_ids(count))

    def with_database(self, use: Callable[[Database], Any]) -> Any:
        """What `use` makes of the records."""
        database = Database(self.path)
        try:
            return use(database)
        finally:
            database.close()

    def kept(self) -> Any:
        """The counters on disk."""
        return self.with_database(
            lambda database: (database.counters("cam1", "shift"), database.counters("cam1", "life"))
        )

    def ask(self, target: str, method: str = "GET", body: Any = None, **headers: str) -> Any:
        """One request to the PLC port; the record, or the status and body of a refusal."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status != 200:
            return response.status, content
        if response.getheader("Content-Type") == "application/json":
            return json.loads(content)
        return PlcRecord.from_line(content)

    def fire(self, n: int, **fields: Any) -> PlcRecord:
        """A trigger by HTTP."""
        query = "&".join(f"{name}={value}" for name, value in ({"n": n} | fields).items())
        record = self.ask(f"/plc/trigger?{query}")
        assert isinstance(record, PlcRecord)
        return record

    def tell(self, method: str, target: str) -> tuple[int, Any]:
        """One request to the control socket."""
        connection = http.client.HTTPConnection("line", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.folder / "cam1.sock"))
            connection.request(method, target)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.getheader("Content-Type") == "application/json":
            return response.status, json.loads(content)
        return response.status, content


def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for something that is bound to happen."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    """See `until`."""
    return until


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Makes lines that are stopped afterwards."""
    made: list[Rig] = []

    def make(**settings: Any) -> Rig:
        made.append(Rig(tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def shared_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The line of `shared`."""
    line = Rig(tmp_path_factory.mktemp("shared"), replay_window_s=0.0).start()
    yield line
    line.stop()


@pytest.fixture
def shared(shared_line: Rig) -> Rig:
    """A line that runs for all tests of a module, ready: each uses numbers of its own."""
    # The test before may have asked for a job, or left a shot in work.
    until(lambda: shared_line.station.ready)
    return shared_line


@pytest.fixture
def scripted() -> ScriptedSource:
    """A camera that gives what the test puts in front of it."""
    return ScriptedSource()


@pytest.fixture
def make_job() -> Callable[..., LoadedJob]:
    """See `fake_job`."""
    return fake_job


@pytest.fixture
def eyes() -> Eyes:
    """A fake model."""
    return Eyes()
