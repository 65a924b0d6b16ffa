"""A backup, unpacked beside the data and verified, before anything is changed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tarfile
import time
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from edge_app.access import NAME, ROLES
from edge_app.care.backup import (
    ACCESS,
    MANIFEST,
    MAX_MEMBERS,
    RECORDS,
    SETTINGS,
    BackupError,
    Hashing,
    Manifest,
    allowed_bytes,
)
from edge_app.config import ConfigError
from edge_app.inference.acceptance import prove
from edge_app.inference.durable import link_durably
from edge_app.jobs import JobError, JobStore
from edge_app.models import ModelStore, StoreError
from edge_app.records.floor import read_floor
from edge_app.records.schema import VERSION
from edge_app.settings_file import load_settings
from edge_app.shelf import ACTIVE

LEAST_FREE_BYTES = 50_000_000
CHUNK_BYTES = 1_000_000

ID_LEAP, IDS_PER_S, MAX_LEAP = 1_000_000, 20, 200_000_000
"""Ids that were given after the backup was made must not come back. This device's own floor says
which they were; those of another device are leapt over, by its age: as many ids as busy lines
give in that time, and a million for a clock that is wrong."""


def unpack(stream: BinaryIO, stage: Path) -> Manifest:
    """Unpack an archive into an empty folder; every byte of it is accounted for.

    Raises:
        BackupError: It is damaged, cut off, foreign, or larger than the disk bears.
    """
    seen: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            for entry in archive:
                seen[entry.name] = _unpack_one(archive, entry, stage, seen)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BackupError(f"it is no Lineside backup, or it is damaged: {error}") from error
    if MANIFEST not in seen:
        raise BackupError("it has no manifest: it is no Lineside backup, or it was cut off")
    del seen[MANIFEST]
    manifest = Manifest.from_json((stage / MANIFEST).read_bytes())
    if seen != manifest.files:
        wrong = sorted(
            name for name in {*seen, *manifest.files} if seen.get(name) != manifest.files.get(name)
        )
        raise BackupError(f"it is damaged: {wrong[0]} is not what the manifest says")
    return manifest


def _unpack_one(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, stage: Path, seen: dict[str, Any]
) -> dict[str, Any]:
    most = allowed_bytes(entry.name)
    if most is None or not entry.isreg() or entry.name in seen or len(seen) >= MAX_MEMBERS:
        raise BackupError(f"it holds {entry.name[:80]!r}, which no Lineside backup does")
    if not 0 <= entry.size <= most:
        raise BackupError(f"{entry.name} has {entry.size} bytes; {most} are taken")
    if entry.size > shutil.disk_usage(stage).free - LEAST_FREE_BYTES:
        raise BackupError(f"the disk has no room for {entry.name} with {entry.size} bytes")
    content = archive.extractfile(entry)
    assert content is not None, "a regular file has content"  # noqa: S101 - says it to mypy
    path, hashing, size = stage / entry.name, Hashing(content), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        while piece := hashing.read(CHUNK_BYTES):
            size += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": size, "sha256": hashing.hexdigest()}


def verify(stage: Path, data_dir: Path, made_at: float) -> list[str]:
    """Let everything prove that it can be used here; one sentence for each model that runs.

    Args:
        stage: Where the backup was unpacked.
        data_dir: What it shall replace.
        made_at: Wall clock of the backup.

    Raises:
        BackupError: Something can't be used; names it.
    """
    try:
        load_settings(stage / SETTINGS, {})
        jobs = JobStore(stage / "jobs")
        for number in jobs.numbers():
            jobs.load(number)
        said = _verify_models(stage / "models")
    except (ConfigError, JobError, StoreError, OSError) as error:
        raise BackupError(str(error).replace(f"{stage}/", "")) from error
    if (stage / ACCESS).exists():
        _verify_access(stage / ACCESS)
    if (stage / RECORDS).exists():
        _verify_records(stage / RECORDS, data_dir / RECORDS, time.time() - made_at)
    return said


def _verify_models(folder: Path) -> list[str]:
    store, said = ModelStore(folder), []
    for name in store.names():
        link = folder / name / ACTIVE
        if link.exists():
            target = link.read_text(encoding="ascii", errors="replace").strip()
            link.unlink()
            known = [version for version in store.versions(name) if version.path.name == target]
            if not known:
                raise StoreError(f"model {name}: its active version {target[:20]!r} is missing")
            link_durably(link, known[0].path.name)
        for version in store.versions(name):
            store.load(version)
        active = store.active(name)
        if active is None:
            continue
        choice = store.choice(active)
        proof = prove(active.path, runtime=choice.runtime, threads=choice.threads)
        if proof.refusal:
            raise StoreError(f"model {active} does not prove itself here: {proof.refusal}")
        said.append(f"model {active} proved itself ({proof.samples} golden samples)")
    return said


def _verify_access(path: Path) -> None:
    try:
        kept = json.loads(path.read_bytes())
        people, tokens = kept["people"], kept["tokens"]
        good = all(
            NAME.fullmatch(name)
            and entry["role"] in ROLES
            and isinstance(entry["epoch"], int)
            and entry["hash"].startswith("$argon2")
            for name, entry in people.items()
        ) and all(
            NAME.fullmatch(entry["name"]) and entry["role"] in ROLES and len(entry["sha256"]) == 64
            for entry in tokens.values()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise BackupError("its logins are damaged")


def _verify_records(path: Path, present: Path, age_s: float) -> None:
    """Is the database whole? Its next id leaps over all that may have been given since."""
    try:
        database = sqlite3.connect(path)
        try:
            (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if said != "ok" or version > VERSION:
                newer = "they are a newer Lineside's; update this one first"
                raise BackupError(f"its records can't be used: {newer if said == 'ok' else said}")
            (following,) = database.execute("SELECT next FROM ids").fetchone()
            leap = min(ID_LEAP + int(max(0.0, age_s) * IDS_PER_S), MAX_LEAP)
            following = max(following + leap, _next_id(present), read_floor(present.parent) or 1)
            with database:
                database.execute("UPDATE ids SET next = ?", (following,))
        finally:
            database.close()
    except (sqlite3.Error, TypeError) as error:
        raise BackupError(f"its records can't be used: {error}") from error


def _next_id(path: Path) -> int:
    """The next id of the records that will be replaced; 1 where there are none."""
    if not path.exists():
        return 1
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return int(database.execute("SELECT next FROM ids").fetchone()[0])
        finally:
            database.close()
    except (sqlite3.Error, TypeError):
        return 1
