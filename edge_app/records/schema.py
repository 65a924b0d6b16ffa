"""The tables of the records, and how those of an older Lineside become them."""

from __future__ import annotations

import sqlite3

VERSION = 2
"""Kept in the file as `user_version`: a file of this version is opened without writing to it."""

PAGE_BYTES = 1024
"""A commit writes each page that it touches to the log, most of them for one line of an index:
small pages more than halve what a card is given (docs/operation.md). A file keeps those it has."""

TABLES = """
CREATE TABLE IF NOT EXISTS inspections (
    id INTEGER PRIMARY KEY,
    captured_at REAL NOT NULL,
    camera TEXT NOT NULL,
    source TEXT NOT NULL,
    trigger INTEGER NOT NULL,
    part TEXT NOT NULL,
    job INTEGER NOT NULL,
    model TEXT NOT NULL,
    decision TEXT NOT NULL,
    code INTEGER NOT NULL,
    reason TEXT NOT NULL,
    label TEXT NOT NULL,
    label_index INTEGER NOT NULL,
    score REAL NOT NULL,
    scores TEXT NOT NULL,
    laps_ms TEXT NOT NULL,
    total_ms REAL NOT NULL,
    late_decision TEXT NOT NULL,
    late_ms REAL NOT NULL,
    warning INTEGER NOT NULL,
    image TEXT NOT NULL,
    test INTEGER NOT NULL,
    job_crc INTEGER NOT NULL DEFAULT 0,
    request_id TEXT NOT NULL DEFAULT '',
    findings TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS inspections_time ON inspections (captured_at, id);
CREATE INDEX IF NOT EXISTS inspections_decision ON inspections (decision, captured_at, id);
CREATE INDEX IF NOT EXISTS inspections_camera ON inspections (camera, captured_at, id);
CREATE INDEX IF NOT EXISTS inspections_part ON inspections (part, captured_at, id)
    WHERE part <> '';
CREATE INDEX IF NOT EXISTS inspections_job ON inspections (job, captured_at, id);
CREATE TABLE IF NOT EXISTS reviews (
    id INTEGER PRIMARY KEY,
    inspection INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    person TEXT NOT NULL,
    note TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS reviews_inspection ON reviews (inspection, id);
CREATE TABLE IF NOT EXISTS ids (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL);
INSERT OR IGNORE INTO ids VALUES (1, 1);
CREATE TABLE IF NOT EXISTS counters (
    camera TEXT NOT NULL,
    span TEXT NOT NULL CHECK (span IN ('shift', 'life')),
    ok INTEGER NOT NULL DEFAULT 0,
    ng INTEGER NOT NULL DEFAULT 0,
    review INTEGER NOT NULL DEFAULT 0,
    none INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0,
    since REAL NOT NULL,
    last_id INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (camera, span)
) STRICT;
"""


ADDED = {
    "job_crc": "INTEGER NOT NULL DEFAULT 0",
    "request_id": "TEXT NOT NULL DEFAULT ''",
    "findings": "TEXT NOT NULL DEFAULT ''",
}
"""Columns that the first files did not have. SQLite adds them without touching a row."""


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, unless they are there already.

    Only a new or older file is written to: opening takes no lock from the line otherwise.
    """
    if _version(connection) >= VERSION:
        return
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in TABLES.split(";\n"):
            connection.execute(statement)
        _add_new_columns(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        # A full or failing disk has SQLite roll back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _add_new_columns(connection: sqlite3.Connection) -> None:
    known = {row[1] for row in connection.execute("PRAGMA table_info(inspections)")}
    for name, kind in ADDED.items():
        if name not in known:
            connection.execute(f"ALTER TABLE inspections ADD COLUMN {name} {kind}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
