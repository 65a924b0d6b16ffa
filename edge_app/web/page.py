"""The page for people: plain documents from templates, alive through small JSON."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from edge_app.access import ROLES
from edge_app.lines import Lines
from edge_app.surroundings import Surroundings
from edge_app.web.feed import Feed
from edge_app.web.live import live_routes, preview_route
from edge_app.web.modules import Modules
from edge_app.web.panel import panel_view
from edge_app.web.person import Person, person
from edge_app.web.roles import LEAST_ROLE, OPEN, Need
from edge_app.web.stills import Stills
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
VIEWS = (
    ("line", "/"),
    ("records", "/records"),
    ("try", "/try"),
    ("models", "/models"),
    ("jobs", "/jobs"),
    ("system", "/system"),
)
"""The views of the page, in the order of its menu."""

YEAR_S = 365 * 24 * 3600


def page_blueprint(
    lines: Lines, data_dir: Path, open_access: str, surroundings: Surroundings
) -> Blueprint:
    """Routes of the page."""
    blueprint = Blueprint("page", __name__)
    words = Words(WORDS_PATH)
    modules = Modules(WORDS_PATH.parent)
    feed = Feed(lines, data_dir, surroundings)

    @blueprint.context_processor
    def context() -> dict[str, Any]:
        camera = _camera(lines)
        language, who = language_of(request), person()
        needs = allowed(who, open_access)
        return {
            "t": lambda key: words.text(language, key),
            "language": language,
            "theme": theme_of(request),
            "cameras": lines.names,
            "camera": camera,
            "same_camera": f"?{urlencode({'camera': camera})}" if camera in lines.names[1:] else "",
            "here": request.path,
            "views": VIEWS,
            "needed_by": modules.needed_by,
            "who": who,
            "needs": needs,
            "may": lambda need: need in needs,
        }

    for view, path in VIEWS:
        blueprint.add_url_rule(path, view, partial(render_template, f"{view}.html"))

    @blueprint.get("/records/<int:inspection_id>")
    def inspection_view(inspection_id: int) -> ResponseReturnValue:
        return render_template("inspection.html", inspection_id=inspection_id)

    @blueprint.get("/panel")
    def panel() -> ResponseReturnValue:
        camera, language = _camera(lines), language_of(request)
        document = feed.to_json(camera, sys.maxsize) if camera else None
        shown = panel_view(document, lambda key: words.text(language, key))
        codes = words.under(language, "code.")
        return render_template("panel.html", shown=shown, codes=codes)

    @blueprint.get("/page/look")
    def look() -> ResponseReturnValue:
        """Keep the language and the theme a person chose, and go back to where they were."""
        response = redirect(_own_path(request.args.get("to", "/")), code=303)
        _keep(response, COOKIE_LANGUAGE, request.args.get("language"), LANGUAGES)
        _keep(response, COOKIE_THEME, request.args.get("theme"), THEMES)
        return response

    live_routes(blueprint, lines, feed, Stills(lines))
    preview_route(blueprint, data_dir / "records.db")
    return blueprint


def allowed(who: Person, open_access: str) -> list[Need]:
    """What the page offers to somebody: what the guard would let them do."""
    place = ROLES.index(who.role) if who.role in ROLES else -1
    return [
        need
        for need, least in LEAST_ROLE.items()
        if need in OPEN[open_access] or place >= ROLES.index(least)
    ]


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
