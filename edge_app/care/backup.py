"""A backup: one archive with settings, jobs, models and logins, whole or not at all.

It is made while the programs run. Model files never change; of what changes, each file is
exchanged in one rename, so that it is read whole; the records come through SQLite's own copy.
The manifest stands last: an archive that was cut off has none.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import re
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edge_app.inference.bundle import MAX_FILE_BYTES
from edge_app.jobs import JobStore
from edge_app.shelf import ACTIVE, COUNTER, HISTORY, NAME, TUNING, Shelf

FORMAT, VERSION = "lineside-backup", 1
MANIFEST, SETTINGS, ACCESS, RECORDS = "manifest.json", "settings.toml", "access.json", "records.db"
MAX_SMALL_BYTES = 8_000_000
MAX_RECORDS_BYTES = 64_000_000_000
MAX_MEMBERS = 20_000

_MODEL = f"models/{NAME.pattern}/"
KINDS = (
    (re.compile(rf"{_MODEL}[0-9]{{1,9}}\.tflite"), MAX_FILE_BYTES),
    (
        re.compile(rf"{_MODEL}({ACTIVE}|{re.escape(HISTORY)}|{COUNTER}|{re.escape(TUNING)})"),
        MAX_SMALL_BYTES,
    ),
    (re.compile(r"jobs/[0-9]{3}\.toml"), MAX_SMALL_BYTES),
    (re.compile(r"(settings\.toml|access\.json|manifest\.json)"), MAX_SMALL_BYTES),
    (re.compile(r"records\.db"), MAX_RECORDS_BYTES),
)
"""What may be in a backup, and how large it may be; nothing else is taken."""


class BackupError(Exception):
    """The archive can't be made or used; one sentence."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Args:
        made_at: Wall clock, seconds since 1970.
        host: Name of the device it was made on.
        version: Lineside's there.
        files: Size and SHA-256 of each member.
    """

    made_at: float
    host: str
    version: str
    files: dict[str, dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """The form in the archive."""
        return {"format": FORMAT, "format_version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Read what `to_json` gave.

        Raises:
            BackupError: It is no such thing, or a newer Lineside's.
        """
        try:
            told = json.loads(content)
            if told["format"] != FORMAT:
                raise BackupError("its manifest is not that of a Lineside backup")
            if told["format_version"] > VERSION:
                raise BackupError("it was made by a newer Lineside; update this one first")
            made_at, files = float(told["made_at"]), dict(told["files"])
            return cls(made_at, str(told["host"]), str(told["version"]), files)
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError("its manifest is damaged") from error


def allowed_bytes(name: str) -> int | None:
    """How large a member may be; None if it may not be there at all."""
    return next((most for shape, most in KINDS if shape.fullmatch(name)), None)


def write_backup(
    stream: BinaryIO, settings: Path, data_dir: Path, version: str, *, records: bool
) -> Manifest:
    """Write a backup into a stream.

    Raises:
        BackupError: Something can't be read.
        OSError: The stream takes no more.
    """
    files: dict[str, dict[str, Any]] = {}
    with tarfile.open(fileobj=stream, mode="w|gz", format=tarfile.PAX_FORMAT) as archive:
        for name, content in _small_and_models(settings, data_dir):
            files[name] = _add(archive, name, io.BytesIO(content), len(content))
        if records and (data_dir / RECORDS).exists():
            with _copy_of_records(data_dir / RECORDS) as copy, copy.open("rb") as file:
                files[RECORDS] = _add(archive, RECORDS, file, copy.stat().st_size)
        manifest = Manifest(time.time(), platform.node(), version, files)
        content = json.dumps(manifest.to_json(), indent=1).encode()
        _add(archive, MANIFEST, io.BytesIO(content), len(content))
    return manifest


def _small_and_models(settings: Path, data_dir: Path) -> Iterator[tuple[str, bytes]]:
    try:
        yield SETTINGS, settings.read_bytes()
        if (data_dir / ACCESS).exists():
            kept = json.loads((data_dir / ACCESS).read_bytes())
            # A key that two devices share would let one's sessions into the other.
            yield ACCESS, json.dumps(kept | {"session_key": ""}, indent=1).encode()
        jobs = JobStore(data_dir / "jobs")
        for number in jobs.numbers():
            yield f"jobs/{number:03d}.toml", (jobs.folder / f"{number:03d}.toml").read_bytes()
        shelf = Shelf(data_dir / "models", kept=0)
        for name in shelf.names():
            for part, content in _model(shelf, name):
                yield f"models/{name}/{part}", content
    except (OSError, ValueError) as error:
        raise BackupError(f"a file can't be read: {error}") from error


def _model(shelf: Shelf, name: str) -> Iterator[tuple[str, bytes]]:
    active = shelf.active(name)
    for version in shelf.versions(name):
        # An idle one may be dropped for a newer one while we read.
        with contextlib.suppress(FileNotFoundError):
            yield version.path.name, version.path.read_bytes()
    if active is not None:
        yield ACTIVE, active.path.name.encode()
    for part in (HISTORY, COUNTER, TUNING):
        with contextlib.suppress(FileNotFoundError):
            yield part, (shelf.folder / name / part).read_bytes()


@contextlib.contextmanager
def _copy_of_records(path: Path) -> Iterator[Path]:
    """The records at one moment, while others go on writing them."""
    copy = path.with_name(f".backup-{os.getpid()}.db")
    try:
        source = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            target = sqlite3.connect(copy)
            try:
                source.backup(target)
            finally:
                target.close()
        finally:
            source.close()
        yield copy
    except sqlite3.Error as error:
        raise BackupError(f"the records can't be read: {error}") from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(f"{copy}{suffix}").unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, content: BinaryIO, size: int) -> dict[str, Any]:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(time.time())
    hashing = Hashing(content)
    archive.addfile(entry, hashing)
    return {"bytes": size, "sha256": hashing.hexdigest()}


class Hashing(io.RawIOBase):
    """A stream that is hashed while it is read."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next piece."""
        piece = bytes(self._stream.read(size))
        self._sha256.update(piece)
        return piece

    def hexdigest(self) -> str:
        """SHA-256 of what was read so far."""
        return self._sha256.hexdigest()
