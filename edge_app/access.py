"""Who may do what: people with passwords, programs with tokens, four roles.

All of it stands in one file that only the service may read. Passwords are kept as argon2
hashes, tokens as SHA-256 of their 192 random bits; neither can be read back.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from edge_app.inference.durable import write_durably

ROLES = ("viewer", "operator", "engineer", "admin")
"""Each may do what those before it may, and more."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,31}")
LEAST_PASSWORD_CHARS, MOST_PASSWORD_CHARS = 10, 200
FILE = "access.json"
HASHER = PasswordHasher(time_cost=3, memory_cost=16_384, parallelism=1)
"""16 MB and some 30 ms for each try: dear for a thief, bearable for a small board."""


class AccessError(Exception):
    """What was asked for can't be done; one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who proved who they are.

    Args:
        name: Of the person or the token.
        role: One of `ROLES`.
        epoch: Changes with the password: sessions from before it end.
    """

    name: str
    role: str
    epoch: int = 0


class Access:
    """The people and tokens of one device; any number of processes may use the same file.

    Args:
        folder: The data directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._lock = threading.RLock()
        self._read_mark: tuple[int, int] = (0, 0)
        self._kept: dict[str, Any] = _empty()
        self._hashing = threading.Lock()
        self._setup_token = ""

    @property
    def has_people(self) -> bool:
        """Whether anybody can log in."""
        return bool(self._read()["people"])

    def setup_token(self) -> str:
        """The one-time token with which the first administrator is made; empty if there is one."""
        with self._lock:
            if self.has_people:
                return ""
            self._setup_token = self._setup_token or secrets.token_urlsafe(18)
            return self._setup_token

    def set_up(self, token: str, name: str, password: str) -> Known:
        """Make the first administrator.

        Raises:
            AccessError: The token is wrong or used, or the name or password is none.
        """
        with self._lock:
            right = self.setup_token()
            if not right or not secrets.compare_digest(token.encode(), right.encode()):
                raise AccessError("the setup token is wrong or was used already")
            known = self.save_person(name, "admin", password)
            self._setup_token = ""
            return known

    def people(self) -> list[dict[str, Any]]:
        """Names and roles."""
        people = self._read()["people"]
        return [{"name": name, "role": people[name]["role"]} for name in sorted(people)]

    def person(self, name: str) -> Known | None:
        """Somebody by name."""
        entry = self._read()["people"].get(name)
        return Known(name, entry["role"], entry["epoch"]) if entry else None

    def save_person(self, name: str, role: str, password: str | None) -> Known:
        """Add a person, or change their role or password.

        Raises:
            AccessError: Name, role or password is none, or the last admin would be gone.
        """
        _check_name(name)
        _check_role(role)
        hashed = _hashed(password) if password is not None else None
        with self._lock:
            kept = self._read()
            old = kept["people"].get(name)
            if hashed is None and old is None:
                raise AccessError("a new person needs a password")
            epoch = (old["epoch"] if old else 0) + (hashed is not None)
            entry = {"role": role, "hash": hashed or old["hash"], "epoch": epoch}
            self._write(_with_admin(kept | {"people": kept["people"] | {name: entry}}))
        return Known(name, role, epoch)

    def remove_person(self, name: str) -> None:
        """Forget a person; their sessions end.

        Raises:
            AccessError: There is nobody of that name, or nobody else is an admin.
        """
        with self._lock:
            kept = self._read()
            if name not in kept["people"]:
                raise AccessError(f"there is nobody called {name!r}")
            people = {key: entry for key, entry in kept["people"].items() if key != name}
            self._write(_with_admin(kept | {"people": people}))

    def check_password(self, name: str, password: str) -> Known | None:
        """Somebody by name and password; as slow for an unknown name as for a wrong password."""
        entry = self._read()["people"].get(name)
        hashed = entry["hash"] if entry else _nobody()
        # One at a time: each takes its memory.
        with self._hashing:
            try:
                HASHER.verify(hashed, password[:MOST_PASSWORD_CHARS])
            except (Argon2Error, InvalidHashError):
                return None
        return Known(name, entry["role"], entry["epoch"]) if entry else None

    def tokens(self) -> list[dict[str, Any]]:
        """Tokens without their secrets."""
        tokens = self._read()["tokens"]
        return [
            {"id": key, "name": entry["name"], "role": entry["role"], "made_at": entry["made_at"]}
            for key, entry in tokens.items()
        ]

    def add_token(self, name: str, role: str) -> tuple[str, str]:
        """Make a token; its id, and the text that is told this once.

        Raises:
            AccessError: Name or role is none.
        """
        _check_name(name)
        _check_role(role)
        key, secret = secrets.token_hex(4), secrets.token_urlsafe(24)
        entry = {"name": name, "role": role, "sha256": _sha256(secret), "made_at": time.time()}
        with self._lock:
            kept = self._read()
            self._write(kept | {"tokens": kept["tokens"] | {key: entry}})
        return key, f"ls_{key}_{secret}"

    def remove_token(self, key: str) -> None:
        """Forget a token.

        Raises:
            AccessError: There is none such.
        """
        with self._lock:
            kept = self._read()
            if key not in kept["tokens"]:
                raise AccessError(f"there is no token {key[:20]!r}")
            tokens = {k: entry for k, entry in kept["tokens"].items() if k != key}
            self._write(kept | {"tokens": tokens})

    def check_token(self, text: str) -> Known | None:
        """Whose token this is."""
        mark, _, rest = text.partition("_")
        key, _, secret = rest.partition("_")
        entry = self._read()["tokens"].get(key) if mark == "ls" else None
        if entry is None or not secrets.compare_digest(_sha256(secret), entry["sha256"]):
            return None
        return Known(f"token:{entry['name']}", entry["role"])

    def session_key(self) -> str:
        """What sessions are signed with; made when it is first asked for."""
        with self._lock:
            kept = self._read()
            if not kept["session_key"]:
                kept = kept | {"session_key": secrets.token_hex(32)}
                self._write(kept)
            return str(kept["session_key"])

    def _read(self) -> dict[str, Any]:
        with self._lock:
            try:
                stat = self._path.stat()
            except FileNotFoundError:
                return self._kept
            mark = (stat.st_mtime_ns, stat.st_size)
            if mark != self._read_mark:
                self._kept = _empty() | json.loads(self._path.read_bytes())
                self._read_mark = mark
            return self._kept

    def _write(self, kept: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self._path, json.dumps(kept, indent=1).encode())
        self._path.chmod(0o600)
        stat = self._path.stat()
        self._kept, self._read_mark = kept, (stat.st_mtime_ns, stat.st_size)


def _empty() -> dict[str, Any]:
    return {"people": {}, "tokens": {}, "session_key": ""}


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise AccessError(
            "a name has 1 to 32 letters, digits, '.', '_', '@' or '-', and begins with a "
            "letter or digit"
        )


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise AccessError(f"role: expected one of {', '.join(ROLES)}, got {role[:20]!r}")


def _hashed(password: str) -> str:
    if not LEAST_PASSWORD_CHARS <= len(password) <= MOST_PASSWORD_CHARS:
        raise AccessError(f"a password has at least {LEAST_PASSWORD_CHARS} characters")
    return HASHER.hash(password)


def _nobody() -> str:
    """A hash that no password has, made with the same effort."""
    salt, rest = "AAAAAAAAAAAAAAAAAAAAAA", "A" * 43
    return f"$argon2id$v=19$m=16384,t=3,p=1${salt}${rest}"


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _with_admin(kept: dict[str, Any]) -> dict[str, Any]:
    if not any(entry["role"] == "admin" for entry in kept["people"].values()):
        raise AccessError("somebody must stay an admin")
    return kept
