"""A damaged database is set aside, kept, and replaced: inspecting and recording go on."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from pathlib import Path

from edge_app.inference.durable import sync_folder
from edge_app.records.database import Database, opening
from edge_app.records.floor import read_floor, write_floor
from edge_app.turn import turn

KEPT = 3
"""Set-aside databases that are kept; a card that spoils one after the other must not fill up."""

EXAMINED_S = 5.0
"""A database that is not found damaged within this time is left in place."""

EXAMINED = ".records-examined"

STEPS = 10_000
"""SQLite's own steps between two looks at the time."""

CARRIED = ("counters", "ids")
"""What goes on in the new database, where the damage lets it be read."""

log = logging.getLogger(__name__)


def is_damage(error: BaseException) -> bool:
    """Whether an error means that the file itself is no good, not the disk or a lock."""
    if not isinstance(error, sqlite3.Error):
        return False
    # Absent for errors of Python's own making.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    lacking = code == sqlite3.SQLITE_ERROR and str(error).startswith("no such table")
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or lacking


def inode(path: Path) -> int:
    """Which file lies there; 0 for none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def report(path: Path, error: BaseException) -> None:
    """Somebody who only reads met an error: set the database aside if it really is damaged."""
    seen = inode(path)
    if not seen or not is_damage(error):
        return
    try:
        # One at a time: many may read.
        with turn(path.with_name(EXAMINED), within_s=0):
            if _is_damaged(path):
                set_aside(path, seen)
    except TimeoutError:
        log.debug("the records are being examined")
    except (sqlite3.Error, OSError) as refused:
        log.error("the damaged records can't be set aside: %s", refused)  # noqa: TRY400 - one sentence


def set_aside(path: Path, seen: int) -> Path | None:
    """Put a new database in a damaged one's place; the old one is kept beside it.

    Programs that have the old one open notice by the next commit, see `Database.is_current`.

    Args:
        path: The database file.
        seen: The `inode` of the damaged one: somebody else may have been quicker.

    Returns:
        Where the old one lies now.

    Raises:
        OSError: The disk does not let it.
    """
    with opening(path, alone=True):
        if inode(path) != seen:
            return None
        kept = path.with_name(time.strftime(f"{path.stem}.damaged-%Y%m%d-%H%M%S.db", time.gmtime()))
        _keep_floor(path)
        # The log first: one that was left beside a new database would be taken for its own.
        for ending in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{ending}").replace(f"{kept}{ending}")
        sync_folder(path.parent)
    log.critical("the records were damaged: they are kept in %s, and new ones are begun", kept.name)
    _carry(kept, path)
    for old in set_aside_before(path.parent)[:-KEPT]:
        for ending in ("", "-wal", "-shm"):
            Path(f"{old}{ending}").unlink(missing_ok=True)
    return kept


def set_aside_before(folder: Path) -> list[Path]:
    """Databases that were set aside, oldest first."""
    # Every look at the health comes here: a glob asks the system for more than the names.
    with contextlib.suppress(FileNotFoundError):
        found = (path for path in folder.iterdir() if path.name.startswith("records.damaged-"))
        return sorted(path for path in found if path.suffix == ".db")
    return []


def notice(folder: Path) -> str:
    """What a person has to know of databases that were set aside; empty without any."""
    found = set_aside_before(folder)
    if not found:
        return ""
    names = ", ".join(path.name for path in found)
    return f"damaged records were set aside and new ones begun; the old ones: {names}"


def _is_damaged(path: Path) -> bool:
    ends_at = time.monotonic() + EXAMINED_S
    try:
        database = Database(path)
        try:
            return not database.is_whole(lambda: time.monotonic() > ends_at, STEPS)
        finally:
            database.close()
    except (sqlite3.Error, OSError) as error:
        return is_damage(error)


def _keep_floor(path: Path) -> None:
    """An older Lineside kept the ids in the database alone."""
    if read_floor(path.parent) is None:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_readable(path)) as old:
            write_floor(path.parent, int(old.execute("SELECT next FROM ids").fetchone()[0]))


def _carry(old_path: Path, new_path: Path) -> None:
    """Let counters go on, as far as they can be read."""
    database = Database(new_path)
    try:
        for table in CARRIED:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(_readable(old_path)) as old:
                database.take_over(table, old.execute(f"SELECT * FROM {table}"))  # noqa: S608 - ours
    except sqlite3.Error as error:
        log.warning("counters begin at zero: %s", error)
    finally:
        database.close()


def _readable(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection
