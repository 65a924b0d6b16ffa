"""Records that were answered for and are not committed yet, where they outlive the program.

A commit is another thread's work and waits for whoever else is at the database: half a millisecond
of every answer, and twenty where the other program is put off by a third one just then. A line
appended to a file on a memory file system takes a twentieth of that and waits for nobody. Like a
commit without a sync it outlives the program but not the power; the next start writes what was
left of it to the database.
"""

from __future__ import annotations

import fcntl
import json
import logging
import operator
import os
import zlib
from pathlib import Path

from edge_app.records.inspection import Inspection
from edge_app.records.row import COLUMNS, inspection_of

MAX_BYTES = 1_000_000
"""Some hundred records; what comes beyond waits for its commit, as without a journal."""

MEMORY = {"tmpfs", "ramfs"}

_values = operator.attrgetter(*COLUMNS)
_encode = json.JSONEncoder(separators=(",", ":")).encode

log = logging.getLogger(__name__)


class Journal:
    """A file of records, each with its checksum, emptied when all of them are committed.

    Args:
        path: On a memory file system; of one program alone.

    Raises:
        OSError: The file can't be used, or another program uses it.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise
        self._bytes = os.fstat(self._file).st_size

    def left(self) -> list[Inspection]:
        """What the program before did not commit, oldest first; what it was killed over is not."""
        lines = os.pread(self._file, MAX_BYTES, 0).split(b"\n")
        return [found for line in lines if (found := _read(line)) is not None]

    def add(self, line: bytes) -> bool:
        """Keep a record (see `line_of`); False where it was not."""
        if self._bytes + len(line) > MAX_BYTES:
            return False
        try:
            if os.write(self._file, line) < len(line):
                # Half a line would spoil the next one, too.
                os.ftruncate(self._file, self._bytes)
                return False
        except OSError as error:
            log.debug("the journal took no record: %s", error)
            return False
        self._bytes += len(line)
        return True

    def close(self) -> None:
        """Let go of the file; what is in it stays."""
        os.close(self._file)

    def clear(self) -> None:
        """All are committed."""
        if self._bytes:
            os.ftruncate(self._file, 0)
            self._bytes = 0


def journal_in(folder: Path, name: str) -> Journal | None:
    """The journal of a program; None where the folder does not lie in memory.

    On a disk it would be one more thing to wait for.
    """
    if file_system_of(folder) not in MEMORY:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Journal(folder / f"{name}.journal")
    except OSError as error:
        log.warning("answers wait for their commit, without a journal: %s", error)
        return None


def file_system_of(folder: Path) -> str:
    """The type of the file system that a folder lies on; empty where that can't be told."""
    wanted = os.path.realpath(folder)
    best, kind = "", ""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for entry in mounts.splitlines():
        _, point, its_kind, *_ = entry.split(" ")
        point = point.encode().decode("unicode_escape")
        below = wanted == point or wanted.startswith(point.rstrip("/") + "/")
        # Of two at one point the later one lies above.
        if below and len(point) >= len(best):
            best, kind = point, its_kind
    return kind


def line_of(inspection: Inspection) -> bytes:
    """A record as it stands in the journal."""
    values = dict(zip(COLUMNS, _values(inspection), strict=True))
    values["findings"] = inspection.findings.to_json()
    content = _encode(values).encode()
    return b"%08x %s\n" % (zlib.crc32(content), content)


def _read(line: bytes) -> Inspection | None:
    checksum, _, content = line.partition(b" ")
    if not content or checksum != b"%08x" % zlib.crc32(content):
        return None
    values = json.loads(content)
    # As they stand in a row.
    values |= {name: json.dumps(values[name]) for name in ("scores", "laps_ms", "findings")}
    return inspection_of(values)
