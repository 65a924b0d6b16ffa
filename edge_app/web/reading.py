"""The records for one request, and what a request asks of them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import request

from edge_app.inference.judge import Decision
from edge_app.records.damage import report
from edge_app.records.database import MAX_PAGE, Database
from edge_app.records.query import Query
from edge_app.web.errors import ApiError

MAX_ID = 2**63 - 1
FILTERS = ("verdict", "part", "camera", "job", "label", "since", "until", "reviewed")


@contextmanager
def records(path: Path) -> Iterator[Database]:
    """One connection for one request; a database that can't be read is a 503, not a crash.

    Raises:
        ApiError: It can't be opened, read or written.
    """
    try:
        database = Database(path)
        try:
            yield database
        finally:
            database.close()
    except (sqlite3.Error, OSError) as error:
        report(path, error)
        raise ApiError(503, "no_records", f"the records can't be used: {error}") from error


def asked_query(*more: str) -> Query:
    """The filters in the address.

    Args:
        more: Further names that the address may hold.

    Raises:
        ApiError: One is not known, or its value is none.
    """
    arguments = request.args
    known = {*FILTERS, *more}
    if unknown := arguments.keys() - known:
        raise ApiError(
            400,
            "unknown_filter",
            f"unknown filter {min(unknown)!r}; known: {', '.join(sorted(known))}",
        )
    return Query(
        decision=_one_of("verdict", tuple(Decision)),
        part=arguments.get("part", ""),
        camera=arguments.get("camera", ""),
        job=whole("job", None, 0, 999),
        label=arguments.get("label", ""),
        since=_seconds("since"),
        until=_seconds("until"),
        reviewed=_one_of("reviewed", ("yes", "no")),
    )


def asked_page() -> tuple[int, int | None]:
    """How many, and behind which."""
    return whole("limit", 50, 1, MAX_PAGE) or 50, whole("before_id", None, 1, MAX_ID)


def whole(name: str, default: int | None, low: int, high: int) -> int | None:
    """A whole number in the address.

    Raises:
        ApiError: It is none, or out of range.
    """
    text = request.args.get(name)
    if text is None:
        return default
    digits = text.isascii() and text.isdecimal() and len(text) <= len(str(high))
    if not digits or not low <= int(text) <= high:
        raise ApiError(400, "bad_filter", f"{name}: expected {low} to {high}, got {text[:40]!r}")
    return int(text)


def _one_of(name: str, known: tuple[str, ...]) -> Any:
    value = request.args.get(name, "")
    if value and value not in known:
        choices = ", ".join(map(str, known))
        raise ApiError(400, "bad_filter", f"{name}: expected one of {choices}, got {value[:40]!r}")
    return str(value)


def _seconds(name: str) -> float | None:
    text = request.args.get(name)
    if text is None:
        return None
    try:
        value = float(text)
        time.gmtime(value)
    except (ValueError, OverflowError, OSError):
        raise ApiError(
            400, "bad_filter", f"{name}: expected seconds since 1970, got {text[:40]!r}"
        ) from None
    return value
