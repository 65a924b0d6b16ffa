"""The last entries of this program's log, for the page; the journal has all of them."""

from __future__ import annotations

import logging
from collections import deque

from edge_app.secret import redacted

KEPT = 300
"""Entries in memory; with `MAX_CHARACTERS` at most some 300 kB."""

MAX_CHARACTERS = 1000


class RecentLog(logging.Handler):
    """Keeps the newest entries from INFO on, without any secret."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._entries: deque[dict[str, object]] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an entry; the oldest goes. A traceback stays in the journal."""
        self._entries.append(
            {
                "at": record.created,
                "level": record.levelname.lower(),
                "logger": record.name,
                "text": redacted(record.getMessage())[:MAX_CHARACTERS],
            }
        )

    def latest(self, limit: int) -> list[dict[str, object]]:
        """At most so many entries, newest first: `at` (s since 1970), `level`, `logger`, `text`."""
        return list(self._entries)[: -limit - 1 : -1]
