"""The page for people: served as plain files, it lives off `/api/v1`."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from edge_app.lines import Lines


def page_blueprint(lines: Lines) -> Blueprint:
    """Routes of the page."""
    blueprint = Blueprint("page", __name__)

    @blueprint.get("/")
    def line_view() -> ResponseReturnValue:
        return render_template("line.html", cameras=lines.names)

    return blueprint
