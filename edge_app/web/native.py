"""The native dialect, `/api/v1`: for the page and for integrators."""

from __future__ import annotations

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.audit import Audit
from edge_app.lines import Lines
from edge_app.recent_log import RecentLog
from edge_app.status import AppStatus
from edge_app.tally import Tally
from edge_app.web.reading import whole


def native_blueprint(
    status: AppStatus,
    lines: Lines,
    tally: Tally,
    audit: Audit,
    recent: RecentLog,
    *,
    in_force: str,
) -> Blueprint:
    """Routes about the device as a whole."""
    blueprint = Blueprint("native", __name__, url_prefix="/api/v1")

    @blueprint.get("/status")
    def app_status() -> ResponseReturnValue:
        return jsonify(status.to_json())

    @blueprint.get("/counters")
    def counters() -> ResponseReturnValue:
        cameras = {name: _counted(lines, name) for name in lines.names}
        return jsonify({"cameras": cameras, "uploads": tally.to_json()})

    @blueprint.get("/audit")
    def audit_log() -> ResponseReturnValue:
        limit = whole("limit", 100, 1, 500) or 100
        return jsonify({"entries": audit.latest(request.args.get("target", ""), limit)})

    @blueprint.get("/log")
    def recent_log() -> ResponseReturnValue:
        return jsonify({"entries": recent.latest(whole("limit", 100, 1, 300) or 100)})

    @blueprint.get("/settings")
    def settings_in_force() -> ResponseReturnValue:
        return jsonify({"toml": in_force})

    return blueprint


def _counted(lines: Lines, name: str) -> dict[str, object]:
    """A line's counters as last heard, with their age."""
    state = lines.state(name).to_json()
    return {
        "shift": state["status"].get("shift"),
        "life": state["status"].get("life"),
        "age_s": state["age_s"],
    }
