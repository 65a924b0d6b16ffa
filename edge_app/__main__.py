"""`lineside-app`: builds the app from the settings, serves it, stops on SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from edge_app import notify
from edge_app.config import EXIT_CONFIG, ConfigError, Settings, load_settings, to_toml
from edge_app.door import Door
from edge_app.engines import Engines, UnknownModel
from edge_app.inference.interpreter import ModelFailed
from edge_app.jobs import JobError, JobStore
from edge_app.lines import Lines
from edge_app.models import ModelStore, StoreError
from edge_app.records.archive import Archive
from edge_app.records.ids import Ids, leaser
from edge_app.records.recorder import Recorder
from edge_app.status import AppStatus
from edge_app.uploads import CAMERA, Uploads
from edge_app.web.factory import create_app
from edge_app.web.server import make_server

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
    data_dir = settings.data_dir
    engines = Engines(ModelStore(data_dir / "models"), settings.inference, _default_model(settings))
    database_path = data_dir / "records.db"
    ids = Ids(leaser(database_path))
    uploads = Uploads(
        engines=engines,
        door=Door(places=max(1, settings.app.threads // 2)),
        ids=ids,
        recorder=Recorder(database_path, after_commit=ids.refill),
        archive=Archive(
            data_dir / "images" / CAMERA,
            max_bytes=settings.data.images_max_mb * 1_000_000 // (len(settings.cameras) + 1),
            min_free_bytes=settings.data.images_min_free_mb * 1_000_000,
            keep_ok_one_in=settings.data.keep_ok_one_in,
        ),
        max_bytes=settings.app.max_body_mb * 1_000_000,
        max_pixels=int(settings.app.max_megapixels * 1_000_000),
    )
    lines = Lines(settings.socket_dir, list(settings.cameras))
    app = create_app(
        uploads=uploads,
        lines=lines,
        status=AppStatus(uploads, lines),
        data_dir=data_dir,
        settings=settings.app,
    )
    server = make_server(app, settings.app, notify.listening_sockets())
    _preload(engines)
    uploads.recorder.start()
    uploads.archive.start()
    lines.start()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    serving = threading.Thread(target=server.run, name="http", daemon=True)
    serving.start()
    notify.ready()
    log.info("the app serves on http://%s:%d", settings.app.host, settings.app.port)
    _watch(stopping, serving)
    notify.stopping()
    server.close()
    server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
    lines.stop()
    uploads.archive.stop(within_s=0.3)
    uploads.recorder.stop(within_s=0.3)
    return 0


def _watch(stopping: threading.Event, serving: threading.Thread) -> None:
    """Feed the watchdog while the server's loop lives, until told to stop."""
    interval_s = notify.watchdog_interval_s()
    while not stopping.wait(min(1.0, interval_s or 1.0)):
        if not serving.is_alive():
            raise OSError("the server's loop has ended")
        notify.watchdog()


def _default_model(settings: Settings) -> str:
    """The model of `/predict`: the one that is set, else the first camera's, else the only one."""
    if settings.inference.model:
        return settings.inference.model
    for camera in settings.cameras.values():
        try:
            return JobStore(settings.data_dir / "jobs").load(camera.job).model
        except JobError as error:
            log.warning("no default model from the first camera: %s", error)
            break
    names = ModelStore(settings.data_dir / "models").names()
    return names[0] if len(names) == 1 else ""


def _preload(engines: Engines) -> None:
    try:
        loaded = engines.get()
        log.info("model %s is warm: %.1f ms", loaded.label, loaded.invoke_ms)
    except (UnknownModel, ModelFailed, StoreError) as error:
        # The app stays up without a model: a person must be able to upload one.
        log.error("no model for uploads: %s", error)  # noqa: TRY400 - one sentence


if __name__ == "__main__":
    sys.exit(main())
