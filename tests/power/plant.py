"""A line and an app with a PLC and an uploader at work, and the plug in our hand."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camera.plc.record import PlcDecision, PlcRecord
from edge_app.records.journal import journal_in
from edge_app.records.recorder import Recorder
from edge_app.up import DEMO, make_demo_line
from edge_app.upload import CAMERA

START_S = 30.0
PHOTOS = sorted((DEMO / "parts").glob("*.jpg"))
SHORT_S = 2.0
"""A client gives up on an answer after that long: the plug may be out."""


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """A folder such as systemd gives both below /run."""
    with tempfile.TemporaryDirectory(prefix="lineside-", dir="/dev/shm") as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Ack:
    """An answer that somebody got.

    Args:
        id: The inspection's.
        camera: `cam1` or `upload`.
        decision: What was told.
        part: Whose.
        at: Monotonic seconds at which it had arrived.
        promised: Whether it came without a warning that its record was not kept yet.
    """

    id: int
    camera: str
    decision: str
    part: str
    at: float
    promised: bool


@dataclass
class Told:
    """All that was fired and answered in one life of the plant."""

    fired: set[str] = field(default_factory=set)
    acks: list[Ack] = field(default_factory=list)
    since: float = field(default_factory=time.time)
    photos: dict[str, set[str]] = field(default_factory=dict)
    """What uploads of each photograph were judged as."""


def make_plant(data_dir: Path, plc_port: int, app_port: int) -> None:
    """The demo line, fired by its PLC alone."""
    data_dir.mkdir(parents=True, exist_ok=True)
    config = data_dir / "lineside.toml"
    make_demo_line(data_dir, config)
    text = config.read_text(encoding="utf-8").replace("free_run_hz = 2\n", "")
    text = text.replace("[app]\n", f"[app]\nport = {app_port}\n")
    text = text.replace("[data]\n", "[data]\nimages_max_mb = 50\nimages_min_free_mb = 0\n")
    config.write_text(f"{text}plc_port = {plc_port}\n", encoding="utf-8")


class Plant:
    """Both programs in one process group.

    Args:
        data_dir: Theirs.
        run_dir: For their sockets, journals and logs; in memory, as below systemd.
        plc_port: The line's.
        app_port: The app's.
        dice: Chooses photographs and pauses.
    """

    def __init__(
        self, data_dir: Path, run_dir: Path, plc_port: int, app_port: int, dice: random.Random
    ) -> None:
        self._data_dir = data_dir
        self._run_dir = run_dir
        self._plc_port = plc_port
        self._app_port = app_port
        self._dice = dice
        self._programs: list[subprocess.Popen[bytes]] = []
        self._pulled = threading.Event()
        self._clients: list[threading.Thread] = []
        self.told = Told()

    @property
    def runs(self) -> bool:
        """Whether the plug is in."""
        return bool(self._programs)

    def start(self, life: int) -> None:
        """Start both programs and whoever asks them."""
        self.told = Told()
        self._pulled.clear()
        environ = {
            **os.environ,
            "LINESIDE_DATA__DIR": json.dumps(str(self._data_dir)),
            "LINESIDE_DATA__SOCKET_DIR": json.dumps(str(self._run_dir)),
        }
        config = str(self._data_dir / "lineside.toml")
        group = 0
        for words in (("camera", "cam1"), ("edge_app",)):
            with (self._run_dir / f"{words[0]}.log").open("ab") as log:
                program = subprocess.Popen(
                    [sys.executable, "-m", *words, "--config", config],
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    process_group=group,
                )
            group = group or program.pid
            self._programs.append(program)
        self._clients = [
            threading.Thread(target=client, args=(life,)) for client in (self._plc, self._uploader)
        ]
        for client in self._clients:
            client.start()

    def pull(self) -> float:
        """Kill the whole process group; the moment at which that was done."""
        os.killpg(self._programs[0].pid, signal.SIGKILL)
        for program in self._programs:
            program.wait()
        at = time.monotonic()
        self._pulled.set()
        for client in self._clients:
            client.join()
        self._programs.clear()
        return at

    def catch_up(self) -> None:
        """What the next start does with what was answered for and not committed."""
        for name in ("cam1", CAMERA):
            if (journal := journal_in(self._run_dir, name)) is not None:
                path = self._data_dir / "records.db"
                Recorder(path, sync_within_ms=1000, journal=journal).catch_up()
                journal.close()

    def lose_memory(self) -> None:
        """What a power cut does to the journals."""
        for path in self._run_dir.glob("*.journal"):
            path.unlink()

    def wait_ready(self) -> float:
        """Wait until line and app gave an answer; how long that took."""
        began = time.monotonic()
        while {ack.camera for ack in self.told.acks} != {"cam1", "upload"}:
            took = time.monotonic() - began
            if took > START_S or any(program.poll() is not None for program in self._programs):
                raise AssertionError(f"it did not start within {took:.0f} s: {self._last_words()}")
            time.sleep(0.01)
        return time.monotonic() - began

    def status(self) -> dict[str, Any]:
        """What the app says of everything."""
        document: dict[str, Any] = json.loads(self._ask(self._app_port, "GET", "/api/v1/status"))
        return document

    def _last_words(self) -> str:
        logs = [self._run_dir / f"{name}.log" for name in ("camera", "edge_app")]
        return " | ".join(log.read_text(errors="replace")[-600:] for log in logs)

    def _plc(self, life: int) -> None:
        for number in itertools.count(1):
            if self._pulled.is_set():
                break
            part = f"L{life}-{number}"
            self.told.fired.add(part)
            body = self._ask(self._plc_port, "GET", f"/plc/trigger?n={number % 65535}&part={part}")
            at = time.monotonic()
            try:
                record = PlcRecord.from_line(body)
            except ValueError:
                continue
            if record.id:
                decided = record.decision.name
                promised = record.code == 0 and record.decision is not PlcDecision.NOT_YET
                self.told.acks.append(Ack(record.id, "cam1", decided, part, at, promised))

    def _uploader(self, life: int) -> None:
        for number in itertools.count(1):
            if self._pulled.is_set():
                break
            part = f"U{life}-{number}"
            self.told.fired.add(part)
            photo = self._dice.choice(PHOTOS)
            body = self._ask(self._app_port, "POST", f"/predict?part={part}", photo.read_bytes())
            at = time.monotonic()
            try:
                answer = json.loads(body)
                told = Ack(
                    answer["id"], "upload", answer["verdict"], part, at, answer["warning"] == 0
                )
            except (ValueError, KeyError, TypeError):
                continue
            self.told.acks.append(told)
            if told.decision != "NONE":
                self.told.photos.setdefault(photo.name, set()).add(told.decision)

    def _ask(self, port: int, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SHORT_S)
        try:
            connection.request(method, path, body, {"Content-Type": "image/jpeg"} if body else {})
            return connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            self._pulled.wait(0.02)
            return b""
        finally:
            connection.close()
