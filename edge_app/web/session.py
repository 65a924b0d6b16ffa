"""Logging in and out, and the first administrator."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response as AnyResponse

from edge_app.access import Access, AccessError, Known
from edge_app.audit import Audit
from edge_app.web.errors import ApiError
from edge_app.web.guard import COOKIE, Sessions
from edge_app.web.limiter import Guesses
from edge_app.web.person import person
from edge_app.web.request import read_json

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Logins:
    """Finds out who wants in, and makes guessing slow.

    Args:
        access: Who there is.
        audit: Where the first administrator is written down.
        guesses: Wrong passwords so far.
    """

    access: Access
    audit: Audit
    guesses: Guesses

    def enter(self, document: Mapping[str, Any]) -> Known:
        """Somebody by name and password, or the first administrator by the setup token.

        Raises:
            ApiError: It is not who they say, or they have to wait.
        """
        name, password = str(document.get("name", "")), str(document.get("password", ""))
        keys = (f"from {request.remote_addr}", f"as {name[:32]}")
        self.guesses.check(*keys)
        try:
            if token := str(document.get("token", "")):
                return self._first(token, name, password)
            return self._known(name, password)
        except ApiError:
            self.guesses.wrong(*keys)
            log.warning("a login as %r from %s failed", name[:32], request.remote_addr)
            raise

    def _first(self, token: str, name: str, password: str) -> Known:
        try:
            known = self.access.set_up(token, name, password)
        except AccessError as error:
            raise ApiError(400, "bad_setup", str(error)) from error
        self.audit.write(known.name, "access.setup", f"person/{known.name}", None, known.role)
        return known

    def _known(self, name: str, password: str) -> Known:
        known = self.access.check_password(name, password)
        if known is None:
            raise ApiError(401, "bad_login", "name or password is wrong")
        self.guesses.right(f"from {request.remote_addr}", f"as {name[:32]}")
        return known


def session_blueprint(logins: Logins, sessions: Sessions, open_access: str) -> Blueprint:
    """Routes of login and setup."""
    blueprint = Blueprint("session", __name__)
    access = logins.access

    @blueprint.get("/api/v1/session")
    def look() -> ResponseReturnValue:
        who = person()
        document = {"name": who.name, "role": who.role, "open_access": open_access}
        return jsonify(document | {"setup_needed": not access.has_people})

    @blueprint.post("/api/v1/session")
    def log_in() -> ResponseReturnValue:
        known = logins.enter(read_json(request))
        return _with_cookie(jsonify({"name": known.name, "role": known.role}), sessions, known)

    @blueprint.post("/api/v1/setup")
    def set_up() -> ResponseReturnValue:
        document = read_json(request)
        if not document.get("token"):
            raise ApiError(400, "bad_setup", "token: expected the setup token from the log")
        known = logins.enter(document)
        response = jsonify({"name": known.name, "role": known.role})
        response.status_code = 201
        return _with_cookie(response, sessions, known)

    @blueprint.delete("/api/v1/session")
    def log_out() -> ResponseReturnValue:
        sessions.end(request.cookies.get(COOKIE, ""))
        response = Response(status=204)
        response.delete_cookie(COOKIE)
        return response

    _form_routes(blueprint, logins, sessions)
    return blueprint


def _form_routes(blueprint: Blueprint, logins: Logins, sessions: Sessions) -> None:
    @blueprint.get("/login")
    def form() -> ResponseReturnValue:
        return _form(logins.access, "")

    @blueprint.post("/login")
    def sent_form() -> ResponseReturnValue:
        try:
            known = logins.enter(request.form)
        except ApiError as error:
            return _form(logins.access, str(error)), error.status
        response = redirect(_own_path(request.form.get("to", "/")), 303)
        return _with_cookie(response, sessions, known)


def _form(access: Access, message: str) -> str:
    to = _own_path(request.values.get("to", "/"))
    return render_template("login.html", message=message, to=to, first=not access.has_people)


def _own_path(path: str) -> str:
    """A path on this device and nowhere else."""
    own = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if own else "/"


def _with_cookie(response: AnyResponse, sessions: Sessions, known: Known) -> AnyResponse:
    response.set_cookie(
        COOKIE,
        sessions.begin(known),
        max_age=sessions.seconds,
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
    )
    return response
