"""Builds one line from its settings; nothing runs before `serve`."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from pathlib import Path
from typing import Protocol

from camera.capture import Capture
from camera.control import Control
from camera.entry import record_expired
from camera.gpio import ChipPort, Gpio, Pins
from camera.health import Doctor
from camera.line import Line
from camera.loader import MAX_PRELOADED, JobShelf
from camera.plc.access import networks
from camera.plc.http import PlcHttp
from camera.sources import Tuning, make_source
from camera.station import Station
from camera.urgency import Urgency
from camera.wire import WireServer
from edge_app import notify
from edge_app.collector import pass_over_what_is_here
from edge_app.config import CameraSettings, ConfigError, Settings
from edge_app.inference.preprocess import Roi
from edge_app.jobs import MAX_NUMBER
from edge_app.records.database import Counters, Database
from edge_app.records.ids import Ids, leaser
from edge_app.records.journal import journal_in
from edge_app.records.keep import archive_and_ledger
from edge_app.records.recorder import Recorder

log = logging.getLogger(__name__)


class Server(Protocol):
    """A port that others reach the line by."""

    def start(self) -> None: ...  # noqa: D102 - begin to serve
    def stop(self) -> None: ...  # noqa: D102 - started or not, and twice: let go of the port


class Assembly:
    """One camera's line with everything around it.

    Args:
        name: The camera's name.
        camera: Its settings.
        settings: Everybody's.

    Raises:
        ConfigError: A setting can't be met.
        OSError: A port is taken.
    """

    def __init__(self, name: str, camera: CameraSettings, settings: Settings) -> None:
        data_dir = settings.data_dir
        self.camera = camera
        database_path = data_dir / "records.db"
        self.doctor = Doctor()
        self.archive, self.ledger = archive_and_ledger(
            data_dir,
            name,
            settings.data,
            sharers=len(settings.cameras) + 1,
            chore=self.doctor.look,
        )
        sharers = len(settings.cameras) + 1
        slot = list(settings.cameras).index(name) + 1
        self.ids = Ids(leaser(database_path), slot, sharers)
        self.recorder = Recorder(
            database_path,
            counters=lambda: self.station.counters(),  # noqa: PLW0108 - it is made below
            after_commit=self.ids.refill,
            sync_within_ms=settings.data.sync_within_ms,
            journal=journal_in(settings.socket_dir, name),
        )
        # Before the counters are read: what was answered for counts.
        self.recorder.catch_up()
        self.station = Station(
            new_id=self.ids.next,
            deadline_ms=camera.deadline_ms,
            replay_window_s=camera.replay_window_s,
            camera=name,
            counters=_kept_counters(database_path, name),
            fired=lambda shot: self.line.expose(shot),  # noqa: PLW0108 - it is made below
            answered=record_expired(self.recorder, name),
            missed=self.recorder.keep_counters,
        )
        shelf = JobShelf(data_dir, settings.inference, self.station.pause)
        self.line = Line(
            name=name,
            capture=Capture(lambda: make_source(camera), name, camera.frozen_s),
            station=self.station,
            recorder=self.recorder,
            archive=self.archive,
            doctor=self.doctor,
            urgency=Urgency(_not_urgent(camera)),
            written=self.ledger.to_json,
            load=shelf.load,
            stamp=shelf.stamp,
            preload=preloaded(camera.preload),
            tuning=Tuning(camera.exposure_us, camera.gain),
            free_run_hz=camera.free_run_hz,
            max_frame_age_ms=camera.max_frame_age_ms,
            rotation=camera.rotation,
            roi=region(camera.roi),
            alive=_Watchdog(),
        )
        self._socket = settings.socket_dir / f"{name}.sock"

    def serve(self) -> None:
        """Run until the line is stopped; leaves nothing running.

        Raises:
            OSError: A port is taken.
            GpioError: The pins can't be had.
        """
        with contextlib.ExitStack() as running:
            servers = self._open_ports(running)
            self.ids.refill()
            self.ledger.start()
            running.callback(self.ledger.stop)
            self.recorder.start()
            running.callback(self.recorder.stop, 0.5)
            self.archive.start()
            running.callback(self.archive.stop, 0.3)
            self.line.capture.start()
            running.callback(self.line.capture.stop, 0.5)
            for server in servers:
                server.start()
                running.callback(server.stop)
            running.callback(notify.stopping)
            self._inspect()

    def _open_ports(self, running: contextlib.ExitStack) -> list[Server]:
        """Take all ports before anything runs: a line with half of them helps nobody."""
        camera, line = self.camera, self.line
        servers: list[Server] = []
        for make in (
            lambda: WireServer(self._socket, Control(line), "control"),
            (lambda: _plc_port(camera, line)) if camera.plc != "off" else None,
            (lambda: _modbus_port(camera, line)) if camera.modbus != "off" else None,
            (lambda: _pins(camera, line)) if camera.gpio_chip else None,
        ):
            if make is not None:
                servers.append(make())
                running.callback(servers[-1].stop)
        return servers

    def _inspect(self) -> None:
        line = self.line
        line.load_job(self.camera.job)
        while line.loading and not line.stopping:
            line.turn()
        pass_over_what_is_here()
        notify.ready()
        log.info("camera %s is ready", line.name, extra=notify.fields(camera=line.name))
        line.run()


def check(camera: CameraSettings) -> None:
    """Look at what the types and ranges of the settings can't say.

    Raises:
        ConfigError: A setting can't be met; names it.
    """
    make_source(camera)
    preloaded(camera.preload)
    region(camera.roi)
    for name in ("plc_allow", "modbus_allow"):
        try:
            networks(getattr(camera, name))
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from error


def _not_urgent(camera: CameraSettings) -> str:
    if not camera.realtime:
        return "the camera's settings say realtime = false"
    # Nobody waits at a gate, and a rate above what the model can do would take a processor whole.
    return "the line fires itself" if camera.free_run_hz else ""


def _plc_port(camera: CameraSettings, line: Line) -> Server:
    answer = PlcHttp(line, camera.plc, camera.plc_allow)
    return WireServer((camera.plc_host, camera.plc_port), answer, "plc")


def _modbus_port(camera: CameraSettings, line: Line) -> Server:
    from camera.plc.modbus import ModbusPort  # noqa: PLC0415 - most lines never need it

    address = (camera.modbus_host, camera.modbus_port)
    return ModbusPort(line, camera.modbus, address, camera.modbus_allow)


def _pins(camera: CameraSettings, line: Line) -> Server:
    pins = Pins(
        chip=camera.gpio_chip,
        trigger=camera.gpio_trigger,
        ok=camera.gpio_ok,
        no_reject=camera.gpio_no_reject,
        ready=camera.gpio_ready,
        debounce_ms=camera.gpio_debounce_ms,
        pulse_ms=camera.gpio_pulse_ms,
    )
    return Gpio(ChipPort(pins), line.station, pins.pulse_ms)


def preloaded(text: str) -> list[int]:
    """The jobs of `2,3`.

    Raises:
        ConfigError: Not job numbers, or too many.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    good = all(word.isdecimal() and 1 <= int(word) <= MAX_NUMBER for word in words)
    if not good or len(words) > MAX_PRELOADED:
        raise ConfigError(
            f"preload: expected at most {MAX_PRELOADED} job numbers from 1 to {MAX_NUMBER}, "
            f"comma-separated; got {text!r}"
        )
    return [int(word) for word in words]


def region(text: str) -> Roi | None:
    """The region of `x,y,width,height`; None for empty text.

    Raises:
        ConfigError: Not four such numbers.
    """
    if not text:
        return None
    words = [word.strip() for word in text.split(",")]
    if len(words) != 4 or not all(word.isdecimal() for word in words) or "0" in words[2:]:
        raise ConfigError(f"roi: expected x,y,width,height in pixels, got {text!r}")
    return Roi(*map(int, words))


def _kept_counters(path: Path, camera: str) -> tuple[Counters, Counters] | None:
    try:
        database = Database(path)
        try:
            return database.counters(camera, "shift"), database.counters(camera, "life")
        finally:
            database.close()
    except sqlite3.Error as error:
        log.error("counters begin at zero, the records can't be read: %s", error)  # noqa: TRY400 - one sentence
        return None


class _Watchdog:
    """Passes the loop's proof of life on to systemd, no more often than it wants one."""

    def __init__(self) -> None:
        self._interval_s = notify.watchdog_interval_s()
        self._fed_at = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if self._interval_s is not None and now - self._fed_at >= self._interval_s:
            notify.watchdog()
            self._fed_at = now
