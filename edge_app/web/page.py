"""The page for people: plain documents from templates, alive through small JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Blueprint, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from edge_app.lines import Lines
from edge_app.web.errors import ApiError
from edge_app.web.feed import Feed
from edge_app.web.words import (
    COOKIE_LANGUAGE,
    COOKIE_THEME,
    LANGUAGES,
    THEMES,
    Words,
    language_of,
    theme_of,
)

WORDS_PATH = Path(__file__).parent / "static" / "words.json"
VIEWS = (("line", "/"),)
"""The views of the page, in the order of its menu."""

YEAR_S = 365 * 24 * 3600


def page_blueprint(lines: Lines, data_dir: Path) -> Blueprint:
    """Routes of the page."""
    blueprint = Blueprint("page", __name__)
    words = Words(WORDS_PATH)
    feed = Feed(lines, data_dir / "records.db")

    @blueprint.context_processor
    def context() -> dict[str, Any]:
        language = language_of(request)
        return {
            "t": lambda key: words.text(language, key),
            "language": language,
            "theme": theme_of(request),
            "cameras": lines.names,
            "camera": _camera(lines),
            "here": request.path,
            "views": VIEWS,
        }

    @blueprint.get("/")
    def line_view() -> ResponseReturnValue:
        return render_template("line.html")

    @blueprint.get("/page/live")
    def live() -> ResponseReturnValue:
        after = request.args.get("after", "0")
        if not (after.isascii() and after.isdecimal() and len(after) < 20):
            raise ApiError(400, "bad_filter", f"after: expected an id, got {after[:40]!r}")
        camera = request.args.get("camera", "")
        if camera not in lines.names:
            raise ApiError(404, "unknown_camera", f"there is no camera {camera[:40]!r}")
        response = jsonify(feed.to_json(camera, int(after)))
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.get("/page/look")
    def look() -> ResponseReturnValue:
        """Keep the language and the theme a person chose, and go back to where they were."""
        response = redirect(_own_path(request.args.get("to", "/")), code=303)
        _keep(response, COOKIE_LANGUAGE, request.args.get("language"), LANGUAGES)
        _keep(response, COOKIE_THEME, request.args.get("theme"), THEMES)
        return response

    return blueprint


def _camera(lines: Lines) -> str:
    asked = request.args.get("camera", "")
    return asked if asked in lines.names else next(iter(lines.names), "")


def _own_path(path: str) -> str:
    """A path on this device and nowhere else."""
    own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if own else "/"


def _keep(response: Response, name: str, value: str | None, known: tuple[str, ...]) -> None:
    if value in known:
        response.set_cookie(name, value, max_age=YEAR_S, samesite="Lax", httponly=True)
