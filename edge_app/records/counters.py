"""How many parts had which verdict."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge_app.inference.judge import Decision


@dataclass(slots=True)
class Counters:
    """How many inspections of a camera had which verdict.

    Args:
        camera: Whose.
        span: `shift` or `life`.
        ok: Parts that were OK; `ng`, `review` and `none` likewise.
        missed: Triggers that were refused.
        since: Wall clock of the start.
    """

    camera: str
    span: str
    ok: int = 0
    ng: int = 0
    review: int = 0
    none: int = 0
    missed: int = 0
    since: float = field(default_factory=time.time)

    @property
    def total(self) -> int:
        """Inspections answered: the sum of the four verdicts, always."""
        return self.ok + self.ng + self.review + self.none

    def count(self, decision: Decision) -> None:
        """Count one answer."""
        name = decision.name.lower()
        setattr(self, name, getattr(self, name) + 1)


NAMES = tuple(entry.name for entry in dataclasses.fields(Counters))

_LIFE = "missed = max(missed, excluded.missed)"
"""A life has one beginning, also for a program that could not read of it."""

_SHIFT = ", ".join(
    [
        *(f"{name} = iif(since = excluded.since, {name}, 0)" for name in ("ok", "ng", "review")),
        "none = iif(since = excluded.since, none, 0)",
        "missed = excluded.missed",
        "since = excluded.since",
    ]
)


def read_counters(connection: sqlite3.Connection, camera: str, span: str) -> Counters:
    """A camera's counts of a span: exactly those of the records that were committed."""
    row = connection.execute(
        f"SELECT {', '.join(NAMES)} FROM counters WHERE camera = ? AND span = ?",  # noqa: S608 - ours
        (camera, span),
    ).fetchone()
    return Counters(*row) if row else Counters(camera, span)


def begin_spans(connection: sqlite3.Connection, counters: Iterable[Counters]) -> None:
    """Keep what is not counted by records: missed triggers, and where a shift began.

    How many parts had which verdict is not taken over. A part may be answered before its record
    is committed, or the other way round, and the power may go in between.
    """
    for entry in counters:
        kept = _LIFE if entry.span == "life" else _SHIFT
        connection.execute(
            "INSERT INTO counters (camera, span, missed, since) "  # noqa: S608 - ours
            f"VALUES (:camera, :span, :missed, :since) ON CONFLICT DO UPDATE SET {kept}",
            dataclasses.asdict(entry),
        )


def count_records(connection: sqlite3.Connection, changes: Mapping[tuple[str, str], int]) -> None:
    """Add to both spans what a commit changes.

    Args:
        connection: In the transaction of the records themselves.
        changes: By camera and decision: how many records more.
    """
    for (camera, decision), more in changes.items():
        name = decision.lower()
        for span in ("shift", "life"):
            connection.execute(
                f"INSERT INTO counters (camera, span, {name}, since) VALUES (?, ?, ?, ?) "  # noqa: S608 - ours
                f"ON CONFLICT DO UPDATE SET {name} = {name} + excluded.{name}",
                (camera, span, more, time.time()),
            )
