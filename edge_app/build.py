"""Puts the whole app together from the settings; whoever serves it starts and stops it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flask import Flask

from edge_app.access import Access
from edge_app.config import Settings
from edge_app.crew import Crew
from edge_app.disk import Disk
from edge_app.door import Door
from edge_app.engines import Engines, Load
from edge_app.inference.bundle import ModelBundle
from edge_app.inference.engine import Engine
from edge_app.jobs import JobError, JobStore
from edge_app.lines import Lines
from edge_app.metrics import Metrics
from edge_app.models import ModelStore, ModelVersion
from edge_app.recent_log import RecentLog
from edge_app.records.ids import Ids, leaser
from edge_app.records.journal import journal_in
from edge_app.records.keep import archive_and_ledger
from edge_app.records.ledger import Ledger
from edge_app.records.recorder import Recorder
from edge_app.records.retention import Retention
from edge_app.room import Room
from edge_app.secret import redacted
from edge_app.settings_file import to_toml
from edge_app.status import AppStatus
from edge_app.surroundings import Surroundings
from edge_app.tally import Tally
from edge_app.upload import CAMERA
from edge_app.uploads import Uploads
from edge_app.vitals import Sensors
from edge_app.watched import Watched
from edge_app.web.factory import create_app

CREW = 3
"""Uploads worked on at once: one in the model while the next is decoded, and one to spare
for another model while the first one stalls."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The app and what runs behind it."""

    app: Flask
    uploads: Uploads
    lines: Lines
    ids: Ids
    access: Access
    retention: Retention
    recent: RecentLog
    ledger: Ledger

    def start(self) -> None:
        """Start the threads; warm up what the first upload would else wait for."""
        logging.getLogger().addHandler(self.recent)
        uploads = self.uploads
        uploads.engines.refresh()
        if problem := uploads.engines.problem():
            # The app stays up without a model: a person must be able to upload one.
            log.error("no model for uploads: %s", problem)
        if token := self.access.setup_token():
            # scripts/install looks for these words in the journal.
            log.warning("make the first administrator at /login with %s", token)
        uploads.warm()
        self.ids.refill()
        self.ledger.start()
        uploads.engines.start()
        uploads.crew.start()
        uploads.recorder.start()
        uploads.archive.start()
        self.lines.start()
        self.retention.start()

    def stop(self) -> None:
        """Stop them; what waits for the disk is written as far as it goes quickly."""
        self.lines.stop()
        self.retention.stop(within_s=0.2)
        self.uploads.crew.stop(within_s=0.2)
        self.uploads.archive.stop(within_s=0.2)
        self.uploads.recorder.stop(within_s=0.2)
        self.uploads.engines.stop()
        logging.getLogger().removeHandler(self.recent)
        self.ledger.stop()


def build(settings: Settings) -> Parts:
    """Everything, not yet running."""
    data_dir = settings.data_dir
    database_path = data_dir / "records.db"
    store = ModelStore.of_device(data_dir, settings.inference)
    archive, ledger = archive_and_ledger(
        data_dir,
        CAMERA,
        settings.data,
        sharers=len(settings.cameras) + 1,
        models=lambda: store.written_bytes,
    )
    ids = Ids(leaser(database_path), 0, len(settings.cameras) + 1)
    recorder = Recorder(
        database_path,
        counters=lambda: tally.counters(),  # noqa: PLW0108 - it is made below
        after_commit=ids.refill,
        sync_within_ms=settings.data.sync_within_ms,
        journal=journal_in(settings.socket_dir, CAMERA),
    )
    # Before the counters are read: what was answered for counts.
    recorder.catch_up()
    tally = Tally(database_path)
    uploads = Uploads(
        engines=Engines(
            store,
            _loader(store),
            lambda: _default_model(settings, store),
            Room(settings.inference.models_max_mb * 1_000_000),
            prove=lambda name: _proven(store, name),
        ),
        door=Door(places=settings.app.threads),
        crew=Crew(CREW),
        ids=ids,
        recorder=recorder,
        archive=archive,
        max_bytes=settings.app.max_body_mb * 1_000_000,
        max_pixels=int(settings.app.max_megapixels * 1_000_000),
    )
    lines = Lines(settings.socket_dir, list(settings.cameras))
    surroundings = Surroundings(Disk(data_dir, settings.data.card_endurance_tb), Sensors())
    watched = Watched(uploads, lines, surroundings, ledger, data_dir)
    metrics, access = Metrics(watched), Access(data_dir)
    uploads.watch(tally.count, metrics.inspected)
    recent = RecentLog()
    app = create_app(
        uploads=uploads,
        lines=lines,
        status=AppStatus(watched),
        tally=tally,
        metrics=metrics,
        access=access,
        recent=recent,
        data_dir=data_dir,
        settings=settings.app,
        in_force=redacted(to_toml(settings)),
    )
    retention = Retention(database_path, settings.data.records_max_rows)
    return Parts(app, uploads, lines, ids, access, retention, recent, ledger)


def _loader(store: ModelStore) -> Load:
    def load(version: ModelVersion, bundle: ModelBundle) -> Engine:
        choice = store.choice(version)
        return Engine(bundle, choice.runtime, choice.threads)

    return load


def _proven(store: ModelStore, name: str) -> ModelVersion | None:
    """A model's active version, or a good one before it; a named version, for a comparison."""
    model, slash, version = name.partition("/")
    return store.compare(model, version) if slash else store.start(model).version


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
