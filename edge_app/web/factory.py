"""Puts the dialects together into one Flask app."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

from edge_app.access import Access
from edge_app.audit import Audit
from edge_app.config import AppSettings
from edge_app.jobs import JobStore
from edge_app.lines import Lines
from edge_app.metrics import Metrics
from edge_app.recent_log import RecentLog
from edge_app.status import AppStatus
from edge_app.tally import Tally
from edge_app.uploads import Uploads
from edge_app.web.cameras import cameras_blueprint
from edge_app.web.deepstack import deepstack_blueprint
from edge_app.web.errors import shape_errors
from edge_app.web.export import export_blueprint
from edge_app.web.express import Express
from edge_app.web.guard import Guard, Sessions
from edge_app.web.headers import add_headers
from edge_app.web.inspections import inspections_blueprint
from edge_app.web.jobs import jobs_blueprint
from edge_app.web.kserve import kserve_blueprint
from edge_app.web.large import LargeJson
from edge_app.web.limiter import Guesses, Limiter
from edge_app.web.models import models_blueprint
from edge_app.web.native import native_blueprint
from edge_app.web.openapi import openapi_blueprint
from edge_app.web.page import page_blueprint
from edge_app.web.people import people_blueprint
from edge_app.web.predict import predict_blueprint
from edge_app.web.prometheus import measure_requests, prometheus_blueprint
from edge_app.web.request import InMemoryRequest
from edge_app.web.request_id import name_requests
from edge_app.web.session import Logins, session_blueprint
from edge_app.web.strict_json import StrictJson
from edge_app.web.tfserving import tfserving_blueprint


def create_app(
    *,
    uploads: Uploads,
    lines: Lines,
    status: AppStatus,
    tally: Tally,
    metrics: Metrics,
    access: Access,
    recent: RecentLog,
    data_dir: Path,
    settings: AppSettings,
    in_force: str = "",
) -> Flask:
    """The whole app; a new dialect is one blueprint here.

    `in_force` is what an engineer who asks is told of all settings: TOML, without secrets.
    """
    app = Flask("edge_app.web")
    sessions = Sessions(access, settings.session_hours)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_mb * 1_000_000
    app.config["MAX_FORM_PARTS"] = 20
    app.json = StrictJson(app)
    app.request_class = InMemoryRequest
    LargeJson(settings).attach(app)
    name_requests(app)
    shape_errors(app)
    measure_requests(app, metrics)
    guard = Guard(access, sessions, Limiter(settings.rate_limit_hz), settings)
    Express(app, uploads, guard, metrics, settings).attach(app)
    guard.attach(app)
    add_headers(app, settings)

    @app.get("/health")
    def health() -> ResponseReturnValue:
        document, able = status.health()
        return jsonify(document), 200 if able else 503

    app.register_blueprint(predict_blueprint(uploads, settings))
    app.register_blueprint(kserve_blueprint(uploads, status, settings))
    app.register_blueprint(tfserving_blueprint(uploads, settings))
    app.register_blueprint(deepstack_blueprint(uploads, settings))
    audit, jobs = Audit(data_dir), JobStore(data_dir / "jobs")
    app.register_blueprint(
        session_blueprint(Logins(access, audit, Guesses()), sessions, settings.open_access)
    )
    app.register_blueprint(people_blueprint(access, audit))
    app.register_blueprint(native_blueprint(status, lines, tally, audit, recent, in_force=in_force))
    app.register_blueprint(inspections_blueprint(uploads, data_dir, settings))
    app.register_blueprint(export_blueprint(data_dir))
    app.register_blueprint(cameras_blueprint(lines, jobs, audit))
    app.register_blueprint(jobs_blueprint(jobs, uploads.engines.store, lines, audit))
    app.register_blueprint(models_blueprint(uploads.engines, lines, audit))
    app.register_blueprint(prometheus_blueprint(metrics))
    app.register_blueprint(openapi_blueprint(status.version))
    app.register_blueprint(
        page_blueprint(lines, data_dir, settings.open_access, status.surroundings)
    )
    return app
