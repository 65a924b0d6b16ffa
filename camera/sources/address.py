"""Where a camera is, said so that no password gets into a log."""

from __future__ import annotations

import re
import urllib.parse


def redacted(text: str) -> str:
    """The text with the credentials of every address in it blotted out."""
    text = re.sub(r"(?<=://)[^/\s@]+@", "***@", text)
    return re.sub(r"(?i)((?:password|passwd|pwd|token|key|auth)=)[^&\s]+", r"\1***", text)


def split_credentials(url: str) -> tuple[str, str, str]:
    """An address without its credentials, the user, and the password; decoded."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    plain = urllib.parse.urlunsplit(parts._replace(netloc=host))
    unquote = urllib.parse.unquote
    return plain, unquote(parts.username or ""), unquote(parts.password or "")
