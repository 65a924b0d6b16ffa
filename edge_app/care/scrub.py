"""What a device's secrets are, so that none of them gets into what is handed on."""

from __future__ import annotations

import contextlib
import json
import os
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path

from edge_app.config import ConfigError, Settings
from edge_app.secret import MAX_BYTES, redacted, secret_file, split_credentials

LEAST_CHARS = 4
"""A shorter one can't be told from other text; its usual places are blotted out by shape."""

NAMED = re.compile(r"(?i)password|passwd|pwd|secret|token|credential|api_?key")


class Scrub:
    """Blots out known secrets wherever they stand, and what looks like one.

    Args:
        known: The secrets.
    """

    def __init__(self, known: Iterable[str]) -> None:
        words = {form for word in known for form in _forms(word)}
        # The longest first: a user and password before the password alone.
        ordered = sorted((word for word in words if len(word) >= LEAST_CHARS), key=len)
        self._known = re.compile("|".join(map(re.escape, reversed(ordered)))) if ordered else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        if self._known is not None:
            text = self._known.sub("***", text)
        return redacted(text)


def secrets_of(
    settings: Settings, folder: Path, environ: Mapping[str, str] = os.environ
) -> list[str]:
    """The secrets that are known here, as far as we may read them.

    Args:
        settings: Addresses may have passwords in them.
        folder: The credentials' files.
        environ: A variable may hold one, too.
    """
    found = [value for name, value in environ.items() if NAMED.search(name)]
    files = []
    with contextlib.suppress(OSError):
        files += sorted(folder.iterdir())
    for camera in settings.cameras.values():
        with contextlib.suppress(ValueError):
            _, user, password = split_credentials(camera.source)
            found += [password, f"{user}:{password}"] if password else []
        with contextlib.suppress(ConfigError):
            files += [secret_file(camera.credentials, environ)] if camera.credentials else []
    for path in files:
        found += _in_file(path)
    return [*found, *_of_logins(settings.data_dir / "access.json")]


def _in_file(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_BYTES)
    except OSError:
        return []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [*lines, *(line.partition(":")[2] for line in lines)]


def _of_logins(path: Path) -> list[str]:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = json.loads(path.read_bytes())
        hashes = [entry["hash"] for entry in kept["people"].values()]
        hashes += [entry["sha256"] for entry in kept["tokens"].values()]
        return [*hashes, kept["session_key"]]
    return []


def _forms(word: str) -> tuple[str, ...]:
    """As it is, as it stands in JSON, and as it stands in an address."""
    quoted = urllib.parse.quote(word, safe="")
    return word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1], quoted
