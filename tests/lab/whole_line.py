"""A whole line, with the demo's model, triggered all the while as by a PLC and watched.

The program is the one that a device runs, in a process of its own. Each part's picture is kept,
so that what the picture itself tells of its moment can be held against the moment of the trigger.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import psutil
from stamps import Stamp

from camera.plc.record import PlcDecision, PlcRecord, Status
from edge_app.jobs import Job, JobStore
from edge_app.models import ModelStore
from edge_app.records.ring import image_name

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "edge_app" / "demo" / "model.tflite"
PACE_S = 0.02
SLACK_MS = 5.0
"""A picture's server reads the clock a little before it draws."""

NEIGHBOURS = 12
"""Parts before and after one by which a camera's own clock is read."""


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Answer:
    """One trigger and what came back.

    Args:
        sent_at: Monotonic seconds at which it was sent.
        came_at: The same of the answer.
        record: The answer.
    """

    sent_at: float
    came_at: float
    record: PlcRecord

    @property
    def judged(self) -> bool:
        """Whether a model has looked at the part."""
        return self.record.decision in (PlcDecision.OK, PlcDecision.NG, PlcDecision.REVIEW)


@dataclass
class Pictures:
    """What the pictures of the judged parts tell.

    Args:
        seen: Pictures read.
        stale: Pictures made before their trigger, or in another life of the camera.
        twice: Pictures that are, bit for bit, that of the part before. A camera that was away
            in between may begin with the same picture again, as vivid does.
        oldest_ms: The greatest age of a picture when its part was answered. With a clock of the
            camera's own, against the quickest of the neighbours.
    """

    seen: int = 0
    stale: int = 0
    twice: int = 0
    oldest_ms: float = 0.0


class WholeLine:
    """One `lineside-camera` and its PLC.

    Args:
        folder: Where it keeps everything.
        camera: Its settings.
        stamp: How pictures tell their moment.
    """

    def __init__(self, folder: Path, camera: Mapping[str, object], stamp: Stamp) -> None:
        self._data = folder / "data"
        self._stamp = stamp
        self._port = free_port()
        self._config = folder / "lineside.toml"
        table = {"deadline_ms": 400, "plc_port": self._port, **camera}
        settings = "\n".join(f"{name} = {_toml(value)}" for name, value in table.items())
        self._config.write_text(
            f'[data]\ndir = "{self._data}"\nkeep_ok_one_in = 1\nimages_min_free_mb = 0\n'
            f"[cameras.lab]\n{settings}\n"
        )
        store = ModelStore(self._data / "models")
        version = store.add(MODEL)
        store.activate(version.name, version.version, measure=False)
        JobStore(self._data / "jobs").save(Job(1, "Lab", version.name))
        self.answers: list[Answer] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._trigger_on, daemon=True)
        self._stopping = False

    def start(self, within_s: float) -> None:
        """Start the program; triggers begin when it is ready, parts are judged then."""
        command = [sys.executable, "-m", "camera", "lab", "--config", str(self._config)]
        self._process = subprocess.Popen(command, cwd=ROOT)
        end = time.monotonic() + within_s
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the line was not ready within {within_s:.0f} s")
            time.sleep(0.05)
        self._thread.start()
        self.until_judged(time.monotonic(), within_s)

    def _ready(self) -> bool:
        connection = self._connect()
        with contextlib.suppress(OSError), contextlib.closing(connection):
            return bool(_ask(connection, "/plc/status").status & Status.READY)
        return False

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)

    def _trigger_on(self) -> None:
        connection = self._connect()
        for number in itertools.cycle(range(1, 65_536)):
            if self._stopping:
                connection.close()
                return
            sent_at = time.monotonic()
            record = _ask(connection, f"/plc/trigger?n={number}")
            self.answers.append(Answer(sent_at, time.monotonic(), record))
            time.sleep(PACE_S)

    def until_judged(self, since: float, within_s: float) -> float:
        """Wait for the first part that was fired after a moment and judged; when it was answered.

        Args:
            since: Monotonic seconds.
            within_s: How long at most.
        """
        return self._until(lambda answer: answer.judged, since, within_s, "no part was judged")

    def until_lost(self, since: float, within_s: float) -> float:
        """The same for the first part without a decision."""
        return self._until(lambda answer: not answer.judged, since, within_s, "no loss was told")

    def _until(
        self, met: Callable[[Answer], bool], since: float, within_s: float, fault: str
    ) -> float:
        place = 0
        while True:
            for answer in self.answers[place:]:
                place += 1
                if answer.sent_at >= since and met(answer):
                    return answer.came_at
            if time.monotonic() > since + within_s:
                last = self.answers[-1].record if self.answers else "nothing"
                raise SystemExit(f"{fault} within {within_s:.0f} s; the last answer: {last}")
            time.sleep(0.005)

    def memory_mb(self) -> float:
        """What the program and its children hold."""
        assert self._process is not None
        ourselves = psutil.Process(self._process.pid)
        total = 0
        for process in [ourselves, *ourselves.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total / 1e6

    def stop(self) -> None:
        """End triggers and program; all records and pictures are on the disk then."""
        self._stopping = True
        if self._thread.ident:
            self._thread.join(30)
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def pictures(self) -> Pictures:
        """Look at each judged part's picture."""
        told, before = Pictures(), b""
        life: list[Made] = []
        for answer in self.answers:
            path = self._data / "images" / "lab" / image_name(answer.record.id)
            if not answer.judged:
                self._tell(life, told)
                life, before = [], b""
            if not answer.judged or not path.exists():
                continue
            content = path.read_bytes()
            told.seen += 1
            told.twice += content == before
            before = content
            stamp_ms = self._stamp.read_ms(cv2.imread(os.fspath(path)))
            life.append(Made(answer.sent_at * 1000, answer.came_at * 1000, stamp_ms))
        self._tell(life, told)
        return told

    def _tell(self, life: Sequence[Made], told: Pictures) -> None:
        """Hold the pictures of one life of the camera against their triggers."""
        for made, age_ms in zip(life, ages_ms(life, self._stamp), strict=True):
            told.oldest_ms = max(told.oldest_ms, age_ms)
            # One that is younger than its answer is of another life, and so older than it seems.
            told.stale += abs(age_ms) > made.came_ms - made.sent_ms + SLACK_MS


@dataclass(frozen=True, slots=True)
class Made:
    """A judged part's picture, in milliseconds.

    Args:
        sent_ms: When the trigger was sent.
        came_ms: When the answer came.
        stamp_ms: What the picture tells.
    """

    sent_ms: float
    came_ms: float
    stamp_ms: float


def ages_ms(life: Sequence[Made], stamp: Stamp) -> list[float]:
    """How old each picture was when its answer came.

    A clock of the camera's own is read from the neighbours: no picture was made after its answer
    came, and the quickest of them is taken for one made just then. Where the camera left a frame
    out, the clock of the parts before it no longer goes, or that of those after it not yet.
    """
    near_ms = life[0].came_ms - life[0].stamp_ms if stamp.own and life else 0.0
    half_ms = stamp.wrap_ms / 2
    lags_ms = [
        (made.came_ms - made.stamp_ms - near_ms + half_ms) % stamp.wrap_ms - half_ms
        for made in life
    ]
    if not stamp.own:
        return lags_ms
    return [_age_ms(lags_ms, place) for place in range(len(lags_ms))]


def _age_ms(lags_ms: Sequence[float], place: int) -> float:
    before, after = lags_ms[max(0, place - NEIGHBOURS) : place], lags_ms[place + 1 :][:NEIGHBOURS]
    quickest_ms = [min(side) for side in (before, after) if side] or [lags_ms[place]]
    younger_ms = lags_ms[place] - min(quickest_ms)
    return max(min(0.0, younger_ms), lags_ms[place] - max(quickest_ms))


def _ask(connection: http.client.HTTPConnection, target: str) -> PlcRecord:
    connection.request("GET", target)
    return PlcRecord.from_line(connection.getresponse().read())


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
