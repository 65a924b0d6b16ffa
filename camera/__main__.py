"""`lineside-camera NAME`: builds one line from the settings, runs it, stops on SIGTERM."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from camera.capture import Capture
from camera.control import Control
from camera.line import Line, LoadedJob, record_expired
from camera.plc.http import PlcHttp
from camera.sources import make_source
from camera.station import Station
from camera.wire import WireServer
from edge_app import notify
from edge_app.config import (
    EXIT_CONFIG,
    CameraSettings,
    ConfigError,
    InferenceSettings,
    Settings,
    load_settings,
    to_toml,
)
from edge_app.inference.engine import Engine
from edge_app.jobs import JobStore
from edge_app.models import ModelStore, StoreError
from edge_app.records.archive import Archive
from edge_app.records.database import Counters, Database
from edge_app.records.ids import Ids, leaser
from edge_app.records.recorder import Recorder

SWITCH_INTERVAL_S = 0.0005
"""Python's default of 5 ms lets a busy thread hold up the inspection loop several times."""

log = logging.getLogger("lineside.camera")


def main(argv: list[str] | None = None) -> int:
    """Run one line; returns the exit status."""
    arguments = _arguments(argv)
    try:
        settings = load_settings(arguments.config)
        camera = settings.camera(arguments.name)
        make_source(camera)
    except ConfigError as error:
        print(f"lineside-camera: {error}", file=sys.stderr)
        return EXIT_CONFIG
    if arguments.print_config:
        print(to_toml(settings))
        return 0
    if arguments.check:
        print(f"settings of camera {arguments.name} are in order")
        return 0
    notify.setup_logging(f"lineside-camera-{arguments.name}")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        return run(arguments.name, camera, settings)
    except (OSError, StoreError) as error:
        log.error("camera %s can't start: %s", arguments.name, error)  # noqa: TRY400 - one sentence
        return 1


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("lineside-camera", description=__doc__)
    parser.add_argument("name", help="the camera's name in the settings, e.g. cam1")
    parser.add_argument("--config", type=Path, help="the settings file (TOML)")
    parser.add_argument("--check", action="store_true", help="look at the settings and leave")
    parser.add_argument("--print-config", action="store_true", help="show the settings in force")
    return parser.parse_args(argv)


def run(name: str, camera: CameraSettings, settings: Settings) -> int:
    """Build the line, serve until SIGTERM or SIGINT, stop in order."""
    data_dir = settings.data_dir
    settings.socket_dir.mkdir(parents=True, exist_ok=True)
    lock = _only_one(settings.socket_dir / f"{name}.lock")
    database_path = data_dir / "records.db"
    archive = Archive(
        data_dir / "images" / name,
        max_bytes=settings.data.images_max_mb * 1_000_000 // (len(settings.cameras) + 1),
        min_free_bytes=settings.data.images_min_free_mb * 1_000_000,
        keep_ok_one_in=settings.data.keep_ok_one_in,
    )
    ids = Ids(leaser(database_path))
    station: Station
    recorder = Recorder(
        database_path,
        counters=lambda: (station.shift, station.life),
        after_commit=ids.refill,
    )
    station = Station(
        new_id=ids.next,
        deadline_ms=camera.deadline_ms,
        replay_window_s=camera.replay_window_s,
        camera=name,
        counters=_kept_counters(database_path, name),
        answered=record_expired(recorder, name),
    )
    line = Line(
        name=name,
        capture=Capture(lambda: make_source(camera), name),
        station=station,
        recorder=recorder,
        archive=archive,
        load=job_loader(data_dir, settings.inference),
        free_run_hz=camera.free_run_hz,
        max_frame_age_ms=camera.max_frame_age_ms,
        rotation=camera.rotation,
        alive=_Watchdog(),
    )
    servers = [WireServer(settings.socket_dir / f"{name}.sock", Control(line), "control")]
    if camera.plc != "off":
        address = (camera.plc_host, camera.plc_port)
        servers.append(WireServer(address, PlcHttp(line, camera.plc, camera.plc_allow), "plc"))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: line.stop())
    ids.refill()
    recorder.start()
    archive.start()
    line.capture.start()
    for server in servers:
        server.start()
    line.load_job(camera.job)
    try:
        _until_warm(line)
        notify.ready()
        log.info("camera %s is ready", name, extra=notify.fields(camera=name))
        line.run()
    finally:
        notify.stopping()
        for server in servers:
            server.stop()
        line.capture.stop(within_s=0.5)
        archive.stop(within_s=0.5)
        recorder.stop(within_s=0.5)
        os.close(lock)
    return 0


def _until_warm(line: Line) -> None:
    """Turn the loop until the first job is loaded, or known not to load."""
    while line.loading:
        line.turn()


def job_loader(data_dir: Path, inference: InferenceSettings) -> Callable[[int], LoadedJob]:
    """Loads a job: its recipe, its model's active version, an engine that is warm."""
    jobs, models = JobStore(data_dir / "jobs"), ModelStore(data_dir / "models")

    def load(number: int) -> LoadedJob:
        job = jobs.load(number)
        version = models.active(job.model)
        if version is None:
            raise StoreError(f"job {number} wants model {job.model!r}, which has no active version")
        bundle = models.load(version)
        engine = Engine(bundle, inference.runtime, max(1, inference.threads))
        engine.warm()
        limits = job.limits or bundle.spec.limits
        return LoadedJob(job, engine, f"{version.name}/{version.version}", limits)

    return load


def _only_one(path: Path) -> int:
    """Hold the camera's lock while the process lives: two lines on one camera would mix parts."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise OSError(f"another lineside-camera runs for this camera ({path})") from error
    return lock


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


if __name__ == "__main__":
    sys.exit(main())
