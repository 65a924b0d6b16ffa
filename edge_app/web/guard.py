"""Stands before every request: who asks, and may they?"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response as AnyResponse

from edge_app.access import ROLES, Access, Known
from edge_app.config import AppSettings
from edge_app.web.errors import ApiError
from edge_app.web.limiter import Limiter
from edge_app.web.person import Person
from edge_app.web.roles import LEAST_ROLE, OPEN, Need, need_of

COOKIE = "lineside_session"
SAFE = ("GET", "HEAD", "OPTIONS")
LOCAL_ENDINGS = (".local", ".lan", ".internal", ".home.arpa", ".localhost")
BROWSERS = frozenset({"HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE"})
"""In the environment of a browser's request, or of one that another site's page had it send."""

MAX_ENDED = 10_000

REMEMBERED = 256
"""Host names that need not be looked at again: the few clients of a device send the same ones."""


class Sessions:
    """Signed cookies that name a person; nothing about them is kept but the ended ones.

    Args:
        access: Who there is.
        hours: How long a session lasts.
    """

    def __init__(self, access: Access, hours: float) -> None:
        self._access = access
        self.seconds = int(hours * 3600)
        self._ended: dict[str, None] = {}

    def begin(self, known: Known) -> str:
        """The cookie of a new session."""
        return str(self._signer().dumps([known.name, known.epoch]))

    def end(self, cookie: str) -> None:
        """Take a cookie no more."""
        self._ended[cookie] = None
        if len(self._ended) > MAX_ENDED:
            self._ended.pop(next(iter(self._ended)))

    def person(self, cookie: str) -> Known | None:
        """Whose session it is; nobody's if it ended, or their password changed since."""
        if cookie in self._ended:
            return None
        try:
            name, epoch = self._signer().loads(cookie, max_age=self.seconds)
        except (BadSignature, ValueError, TypeError):
            return None
        known = self._access.person(str(name))
        return known if known is not None and known.epoch == epoch else None

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._access.session_key(), salt="session")


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets a request through or refuses it.

    Args:
        access: People and tokens.
        sessions: Of the people.
        limiter: Bounds how often each client may ask.
        settings: Open access, host names, origins.
    """

    access: Access
    sessions: Sessions
    limiter: Limiter
    settings: AppSettings

    def attach(self, app: Flask) -> None:
        """Stand before every request of an app."""
        app.before_request(self.check)

    def check(self) -> AnyResponse | None:
        """Refuse, redirect to the login, or let through.

        Raises:
            ApiError: The request is refused.
        """
        self.limiter.check(request.remote_addr or "")
        self._check_host()
        known = self._known()
        role = known.role if known else self._open_role()
        g.person = Person(known.name if known else "anonymous", role)
        if request.method == "OPTIONS" or request.endpoint is None:
            return None
        need = need_of(request.endpoint) or "admin"
        if not self._may(need, known):
            return self._refuse(need, known)
        if request.method not in SAFE and "Authorization" not in request.headers:
            self._check_origin()
        return None

    def lets_a_program(self, endpoint: str, environ: Mapping[str, Any]) -> bool:
        """Whether a program's request, which no browser sends, may go to an endpoint.

        Only the plain cases: where this says no, `check` has to be asked, and has the words.

        Raises:
            ApiError: The client asks too often.
        """
        if not environ.keys().isdisjoint(BROWSERS):
            return False
        header = environ.get("HTTP_AUTHORIZATION", "")
        known = self._bearer(header)
        may = self._may(need_of(endpoint) or "admin", known) and (known is not None or not header)
        if not may or not self._is_ours(_name_in(environ.get("HTTP_HOST", "localhost"))):
            return False
        self.limiter.check(environ.get("REMOTE_ADDR", ""))
        return True

    def _may(self, need: Need, known: Known | None) -> bool:
        if need == "nothing" or need in OPEN[self.settings.open_access]:
            return True
        least = ROLES.index(LEAST_ROLE[need])
        return known is not None and ROLES.index(known.role) >= least

    def _open_role(self) -> str:
        """The role whose buttons the page may show to somebody unknown."""
        roles = {"read": "viewer", "predict": "viewer", "operate": "operator", "all": "admin"}
        return roles.get(self.settings.open_access, "")

    def _known(self) -> Known | None:
        header = request.headers.get("Authorization", "")
        if header:
            known = self._bearer(header)
            if known is None:
                raise ApiError(401, "bad_token", "the token is not known here")
            return known
        cookie = request.cookies.get(COOKIE)
        return self.sessions.person(cookie) if cookie else None

    def _bearer(self, header: str) -> Known | None:
        kind, _, token = header.partition(" ")
        return self.access.check_token(token.strip()) if kind.lower() == "bearer" else None

    def _refuse(self, need: Need, known: Known | None) -> Response | AnyResponse:
        if known is not None:
            raise ApiError(
                403, "not_allowed", f"this needs the role {LEAST_ROLE[need]}; yours is {known.role}"
            )
        if (
            request.blueprint == "page"
            and request.method == "GET"
            and "html" in request.headers.get("Accept", "")
        ):
            return redirect(f"/login?to={request.path}", code=303)
        raise ApiError(401, "log_in", f"this needs a login or a token of role {LEAST_ROLE[need]}")

    def _check_host(self) -> None:
        """Against DNS rebinding: a foreign page's own name must not lead here."""
        # Programs of old send none; browsers always do.
        name = _name_in(request.headers.get("Host", "localhost"))
        if not self._is_ours(name):
            raise ApiError(421, "unknown_host", f"{name[:80]!r} is not in app.hosts")

    def _is_ours(self, name: str) -> bool:
        return _is_ours(name, socket.gethostname(), self.settings.hosts)

    def _check_origin(self) -> None:
        """Against forged requests: a foreign page must not act with this browser's rights."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none"):
            origin = request.headers.get("Origin", "")
            if not origin or urlsplit(origin).netloc.lower() == request.host.lower():
                return
        if request.headers.get("Origin", "") in _words(self.settings.cors_origins):
            return
        raise ApiError(403, "foreign_origin", "a page of another site may not do this")


@lru_cache(REMEMBERED)
def _name_in(host: str) -> str:
    return (urlsplit(f"//{host}").hostname or "").lower()


@lru_cache(REMEMBERED)
def _is_ours(name: str, machine: str, hosts: str) -> bool:
    plain = "." not in name or name.endswith(LOCAL_ENDINGS)
    return plain or name == machine.lower() or name in _words(hosts) or _is_address(name)


def _words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",") if word.strip()}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
