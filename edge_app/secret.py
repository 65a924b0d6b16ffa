"""Secrets: read from files, put into an address at the last moment, blotted out of every text."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from edge_app.config import ConfigError

MAX_BYTES = 1024
UNIT_PREFIX = "lineside_"
"""systemd names a file of a folder that it hands over `ID_FILE`; our units' ID is `lineside`."""

_NAMED = r"(?:[a-z0-9_-]*(?:password|passwd|pwd|token|secret|api_?key|session_key|auth))"

BLOTS = (
    # Up to the last @: a password that was not quoted may hold one itself.
    (re.compile(r"(?<=://)[^\s\"'<>]*@"), "***@"),
    (re.compile(rf"(?i)({_NAMED}[\"']?\s*[=:]\s*([\"']))[^\"']*(?=\2)"), r"\1***"),
    (re.compile(rf"(?i)({_NAMED}[\"']?\s*[=:]\s*)[^&\s,;|}}\"']+"), r"\1***"),
    (re.compile(r"(?i)(\bkey=)[^&\s]+"), r"\1***"),
    (re.compile(r"(?i)(\b(?:authorization\W+(?:basic|bearer)|bearer)\s+)[\w.~+/=-]{8,}"), r"\1***"),
    (re.compile(r"(?i)(first administrator at /login with )\S+"), r"\1***"),
    (re.compile(r"\bls_[0-9a-f]{8}_[\w-]+"), "***"),
    (re.compile(r"\$argon2[a-z]*\$[^\s\"']+"), "***"),
)
"""What a secret looks like, and what stands there instead."""


def redacted(text: str) -> str:
    """The text without credentials in addresses, passwords, tokens and their hashes."""
    for shape, instead in BLOTS:
        text = shape.sub(instead, text)
    return text


def split_credentials(url: str) -> tuple[str, str, str]:
    """An address without its credentials, the user, and the password; decoded."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    plain = urllib.parse.urlunsplit(parts._replace(netloc=host))
    unquote = urllib.parse.unquote
    return plain, unquote(parts.username or ""), unquote(parts.password or "")


def with_credentials(url: str, name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The address with the user and password that a secret holds as `user:password`.

    Args:
        url: An address without any.
        name: See `secret_file`; empty gives the address as it is.
        environ: Where systemd says what it handed over.

    Raises:
        ConfigError: The secret can't be had, or is none; names the file, never what is in it.
    """
    if not name:
        return url
    parts = urllib.parse.urlsplit(url)
    if not parts.netloc or "@" in parts.netloc:
        raise ConfigError(
            f"credentials {name!r}: expected a source such as rtsp://HOST/PATH without a user "
            f"or password in it; got {redacted(url)!r}"
        )
    user, mark, password = _read(secret_file(name, environ)).partition(":")
    if not (user and mark):
        raise ConfigError(f"credentials {name!r}: expected one line, user:password, in the file")
    quote = urllib.parse.quote
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"
    return urllib.parse.urlunsplit(parts._replace(netloc=netloc))


def secret_file(name: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where a secret is: a path as it stands, a name among those that systemd handed over.

    Raises:
        ConfigError: A name, and nothing was handed over.
    """
    if "/" in name:
        return Path(name)
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise ConfigError(
            f"credentials {name!r}: systemd handed over no secrets; expected a unit with "
            "LoadCredential, or the path of a file"
        )
    ours = Path(folder) / f"{UNIT_PREFIX}{name}"
    return ours if ours.exists() else Path(folder) / name


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"can't read the secret {path}: {reason}") from error
    if len(text) > MAX_BYTES:
        raise ConfigError(f"the secret {path} is larger than {MAX_BYTES} bytes")
    return text.strip("\r\n")
