"""`lineside-app`: builds the app from the settings, serves it, stops on SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from edge_app import notify
from edge_app.access import Access
from edge_app.config import EXIT_CONFIG, ConfigError, Settings, load_settings, to_toml
from edge_app.crew import Crew
from edge_app.door import Door
from edge_app.engines import Engines, Load
from edge_app.inference.bundle import ModelBundle
from edge_app.inference.engine import Engine
from edge_app.jobs import JobError, JobStore
from edge_app.lines import Lines
from edge_app.metrics import Metrics
from edge_app.models import ModelStore, ModelVersion
from edge_app.records.archive import Archive
from edge_app.records.ids import Ids, leaser
from edge_app.records.recorder import Recorder
from edge_app.status import AppStatus
from edge_app.tally import Tally
from edge_app.upload import CAMERA
from edge_app.uploads import Uploads
from edge_app.web.factory import create_app
from edge_app.web.server import Server

SWITCH_INTERVAL_S = 0.0005
"""Python's default of 5 ms lets a busy thread hold up an answer several times."""

CREW = 3
"""Uploads worked on at once: one in the model while the next is decoded, and one to spare
for another model while the first one stalls."""

LOOP_S = 5.0
"""A server loop that has not turned for so long serves nobody."""

log = logging.getLogger("lineside.app")


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser("lineside-app", description=__doc__)
    parser.add_argument("--config", type=Path, help="the settings file (TOML)")
    parser.add_argument("--check", action="store_true", help="look at the settings and leave")
    parser.add_argument("--print-config", action="store_true", help="show the settings in force")
    arguments = parser.parse_args(argv)
    try:
        settings = load_settings(arguments.config)
    except ConfigError as error:
        print(f"lineside-app: {error}", file=sys.stderr)
        return EXIT_CONFIG
    if arguments.print_config:
        print(to_toml(settings))
        return 0
    if arguments.check:
        print("settings are in order")
        return 0
    notify.setup_logging("lineside-app")
    try:
        return run(settings)
    except OSError as error:
        address = f"{settings.app.host}:{settings.app.port}"
        log.error("the app can't serve on %s: %s", address, error)  # noqa: TRY400 - one sentence
        return 1


def run(settings: Settings) -> int:
    """Build everything, serve, stop in order."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    data_dir = settings.data_dir
    database_path = data_dir / "records.db"
    store = ModelStore(data_dir / "models")
    engines = Engines(
        store,
        _loader(store, settings),
        lambda: _default_model(settings, store),
        prove=lambda name: store.start(name).version,
    )
    ids = Ids(leaser(database_path))
    tally = Tally(database_path)
    uploads = Uploads(
        engines=engines,
        door=Door(places=settings.app.threads),
        crew=Crew(CREW),
        ids=ids,
        recorder=Recorder(database_path, tally.counters, ids.refill),
        archive=Archive(
            data_dir / "images" / CAMERA,
            max_bytes=settings.data.images_max_mb * 1_000_000 // (len(settings.cameras) + 1),
            min_free_bytes=settings.data.images_min_free_mb * 1_000_000,
            keep_ok_one_in=settings.data.keep_ok_one_in,
        ),
        max_bytes=settings.app.max_body_mb * 1_000_000,
        max_pixels=int(settings.app.max_megapixels * 1_000_000),
    )
    access = Access(data_dir)
    lines = Lines(settings.socket_dir, list(settings.cameras))
    metrics = Metrics(uploads, lines, data_dir)
    uploads.watch(tally.count, metrics.inspected)
    app = create_app(
        uploads=uploads,
        lines=lines,
        status=AppStatus(uploads, lines),
        tally=tally,
        metrics=metrics,
        access=access,
        data_dir=data_dir,
        settings=settings.app,
    )
    if token := access.setup_token():
        log.warning("nobody can log in yet: make the first administrator at /login, with %s", token)
    server = Server(app, settings.app, notify.listening_sockets())
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    _start(uploads, ids)
    lines.start()
    server.start()
    notify.ready()
    log.info("the app serves on http://%s:%d", settings.app.host, server.port)
    _watch(stopping, server)
    notify.stopping()
    server.stop(within_s=1.0)
    lines.stop()
    _stop(uploads)
    return 0


def _start(uploads: Uploads, ids: Ids) -> None:
    """Warm up what the first upload would else wait for."""
    uploads.engines.refresh()
    if problem := uploads.engines.problem():
        # The app stays up without a model: a person must be able to upload one.
        log.error("no model for uploads: %s", problem)
    uploads.warm()
    ids.refill()
    uploads.engines.start()
    uploads.crew.start()
    uploads.recorder.start()
    uploads.archive.start()


def _stop(uploads: Uploads) -> None:
    uploads.crew.stop(within_s=0.2)
    uploads.archive.stop(within_s=0.2)
    uploads.recorder.stop(within_s=0.2)
    uploads.engines.stop()


def _watch(stopping: threading.Event, server: Server) -> None:
    """Feed the watchdog while the server's loop turns, until told to stop."""
    interval_s = notify.watchdog_interval_s()
    while not stopping.wait(min(1.0, interval_s or 1.0)):
        if not server.alive:
            raise OSError("the server's loop has ended")
        if server.turned_s < LOOP_S:
            notify.watchdog()


def _loader(store: ModelStore, settings: Settings) -> Load:
    pins = settings.inference

    def load(version: ModelVersion, bundle: ModelBundle) -> Engine:
        choice = store.choice(version, pins.runtime, pins.threads)
        return Engine(bundle, choice.runtime, choice.threads)

    return load


def _default_model(settings: Settings, store: ModelStore) -> str:
    """The model of `/predict`: the one that is set, else the first camera's, else the only one."""
    if settings.inference.model:
        return settings.inference.model
    for camera in settings.cameras.values():
        try:
            return JobStore(settings.data_dir / "jobs").load(camera.job).model
        except JobError:
            break  # the line says what is wrong with its job
    names = store.names()
    return names[0] if len(names) == 1 else ""


if __name__ == "__main__":
    sys.exit(main())
