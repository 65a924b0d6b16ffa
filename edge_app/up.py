"""`lineside up`: app and lines together without systemd; the demo line if there is none yet."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_app.care.restore import finish
from edge_app.config import Settings
from edge_app.inference.judge import Code, Decision
from edge_app.jobs import Job, JobStore
from edge_app.lines import LineDown, Lines
from edge_app.models import ModelStore
from edge_app.port import port_refused
from edge_app.records.database import Database
from edge_app.settings_file import load_settings

DEMO = Path(__file__).parent / "demo"
DEMO_MODEL = "flange"
DEMO_CAMERA = "cam1"

READY_S = 30.0
"""A slow card's cold start; on any machine of today it takes a second."""

STOP_S = 1.5
"""What a program gets to finish its part; killed after that, so that all is over within 2 s."""

RESTART_S = 0.3
PR_SET_PDEATHSIG = 1

DEMO_SETTINGS = """\
# Made by `lineside up` for the demo line. docs/settings.md lists every setting.
[app]
open_access = "operate"

[data]
keep_ok_one_in = 1

[cameras.{camera}]
source = {source}
free_run_hz = 2
"""


class CantStart(Exception):  # noqa: N818 - read as a sentence where it is raised
    """One sentence that says what is in the way."""


@dataclass(slots=True)
class Program:
    """A child process that is kept running.

    Args:
        name: For people and for its log file.
        command: What to run.
        process: The running one.
        starts: How often it was started.
    """

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self, environ: dict[str, str]) -> None:
        """Start it; it dies with us, and Ctrl-C reaches it through us alone."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        self.starts += 1

    def last_words(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _say(sentence: str) -> None:
    """For a person, at once, also where it goes to a file."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


class Up:
    """Runs everything until told to stop.

    Args:
        data_dir: Where models, jobs, records and pictures live.
        overrides: Environment settings for the programs, `LINESIDE_APP__PORT` and the like.
        say: Where sentences for the person go.
    """

    def __init__(
        self,
        data_dir: Path,
        overrides: dict[str, str],
        say: Callable[[str], None] = _say,
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._config = self._data_dir / "lineside.toml"
        self._environ = {**os.environ, **overrides, "LINESIDE_DATA__DIR": str(self._data_dir)}
        self._say = say
        self._stopping = False
        self._programs: list[Program] = []
        self._settings: Settings

    def run(self, seconds: float | None = None) -> int:
        """Start, keep running, stop; returns the exit status.

        Args:
            seconds: Stop by itself after so long; None to run until a signal.

        Raises:
            CantStart: A port is taken, or a program does not come up.
            ConfigError: The settings are wrong.
        """
        began = time.monotonic()
        self._data_dir.mkdir(parents=True, exist_ok=True)
        if finish(self._data_dir, self._config):
            self._say("a restore that was cut off is complete now")
        if not self._config.exists():
            make_demo_line(self._data_dir, self._config)
        self._settings = load_settings(self._config, self._environ)
        self._check_ports()
        first_id = self._newest_id()
        self._make_programs()
        # Not earlier: until here a signal may end us on the spot, nothing runs yet.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        try:
            for program in self._programs:
                program.start(self._environ)
            self._until_ready()
            if not self._stopping:
                self._greet(time.monotonic() - began)
            self._keep_running(None if seconds is None else time.monotonic() + seconds)
        finally:
            self._stop_programs()
        return self._report(first_id) if seconds is not None else 0

    def stop(self) -> None:
        """Let `run` return."""
        self._stopping = True

    def _make_programs(self) -> None:
        logs = self._data_dir / "logs"
        logs.mkdir(exist_ok=True)
        commands = {"app": [sys.executable, "-m", "edge_app"]}
        for name in self._settings.cameras:
            commands[name] = [sys.executable, "-m", "camera", name]
        for name, command in commands.items():
            log = logs / f"{name}.log"
            log.unlink(missing_ok=True)
            self._programs.append(Program(name, [*command, "--config", str(self._config)], log))

    def _check_ports(self) -> None:
        app = self._settings.app
        _check_port(app.host, app.port, "the app", "--port")
        for name, camera in self._settings.cameras.items():
            if camera.plc != "off":
                _check_port(camera.plc_host, camera.plc_port, f"the line {name}", "--plc-port")

    def _until_ready(self) -> None:
        lines = Lines(self._settings.socket_dir, list(self._settings.cameras))
        waiting = {"app", *self._settings.cameras}
        until = time.monotonic() + READY_S
        while waiting and not self._stopping:
            for program in self._programs:
                if program.process is not None and program.process.poll() is not None:
                    raise CantStart(f"{program.name} did not start: {program.last_words()}")
            waiting = {name for name in waiting if not self._is_ready(name, lines)}
            if time.monotonic() > until:
                raise CantStart(f"{', '.join(sorted(waiting))} not ready after {READY_S:.0f} s")
            time.sleep(0.02)

    def _is_ready(self, name: str, lines: Lines) -> bool:
        try:
            if name != "app":
                return not lines.ask(name, "GET", "/status").json()["closed"]
            app = self._settings.app
            socket.create_connection((_reachable(app.host), app.port), timeout=0.2).close()
        except (LineDown, OSError):
            return False
        return True

    def _keep_running(self, until: float | None) -> None:
        while not self._stopping and (until is None or time.monotonic() < until):
            for program in self._programs:
                status = None if program.process is None else program.process.poll()
                if status is not None:
                    self._say(f"{program.name} ended ({_ending(status)}); starting it again")
                    time.sleep(RESTART_S)
                    program.start(self._environ)
            time.sleep(0.05)

    def _stop_programs(self) -> None:
        # A running part of the app asks the lines, so it goes first.
        running = [p.process for p in self._programs if p.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _greet(self, took_s: float) -> None:
        app = self._settings.app
        url = f"http://{_reachable(app.host)}:{app.port}"
        self._say(f"Lineside runs (ready after {took_s:.1f} s).\n")
        self._say(f"  the page       {url}/")
        for name, camera in self._settings.cameras.items():
            if camera.plc != "off":
                plc = f"http://{_reachable(camera.plc_host)}:{camera.plc_port}"
                self._say(f"  ask as a PLC   curl '{plc}/plc/trigger?n=17&part=AB12'   ({name})")
        part = next(iter(sorted((DEMO / "parts").glob("*.jpg"))), Path("part.jpg"))
        self._say(f"  judge a photo  curl -F image=@{_short(part)} {url}/predict")
        self._say(f"  its health     curl {url}/health")
        self._say(f"  settings, logs {_short(self._data_dir)}/\n")
        self._say("Ctrl-C stops it.")

    def _newest_id(self) -> int:
        database = Database(self._data_dir / "records.db")
        try:
            found = database.inspections(limit=1)
            return found[0].id if found else 0
        finally:
            database.close()

    def _report(self, first_id: int) -> int:
        """Count what the lines did since the start; 0 only if every part got an answer."""
        database = Database(self._data_dir / "records.db")
        try:
            counts = database.tally(after_id=first_id)
        finally:
            database.close()
        total = sum(counts.values())
        none = sum(count for (decision, _), count in counts.items() if decision == Decision.NONE)
        late = counts.get((Decision.NONE, Code.DEADLINE), 0)
        shares = [
            f"{sum(n for (d, _), n in counts.items() if d == decision)} {decision}"
            for decision in (Decision.OK, Decision.NG, Decision.REVIEW)
        ]
        restarts = sum(program.starts - 1 for program in self._programs)
        self._say(
            f"{total} parts inspected: {', '.join(shares)}; "
            f"{none} without a decision, {late} of them late; {restarts} restarts"
        )
        return 0 if total and not none and not restarts else 1


def make_demo_line(data_dir: Path, config: Path) -> None:
    """Set up the demo: its model, its job, and a camera that shows its photographs.

    Raises:
        StoreError: The demo model could not be stored.
    """
    store = ModelStore(data_dir / "models")
    version = store.add(DEMO / "model.tflite", DEMO_MODEL)
    # Proved, but not measured: a first start must not take the ten seconds of a tuning.
    store.activate(DEMO_MODEL, version.version, measure=False)
    jobs = JobStore(data_dir / "jobs")
    if 1 not in jobs.numbers():
        jobs.save(Job(number=1, name="Flange", model=DEMO_MODEL))
    source = json.dumps(f"folder:{DEMO / 'parts'}", ensure_ascii=False)
    # Last, because its presence says that the demo is whole.
    config.write_text(DEMO_SETTINGS.format(camera=DEMO_CAMERA, source=source), encoding="utf-8")


def _check_port(host: str, port: int, who: str, flag: str) -> None:
    if reason := port_refused(host, port):
        raise CantStart(
            f"port {port} on {host}, which {who} wants, can't be had: {reason}. "
            f"{flag} chooses another."
        )


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound


def _ending(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _short(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
