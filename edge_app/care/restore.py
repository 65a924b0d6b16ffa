"""Putting a verified backup in place: after a power cut at any moment it is the old or the new.

All that is to be put in place lies in `<data>/.restore`, verified. Then the file `ready` is
written: before it the old data is in place, untouched; from it on the new one is, or is put
in place by whoever comes next: the units, `lineside up` and `lineside restore --finish` do
that before any program starts.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from edge_app.audit import Audit
from edge_app.care.backup import ACCESS, RECORDS, SETTINGS, BackupError, Manifest
from edge_app.care.rights import as_owner
from edge_app.care.stage import unpack, verify
from edge_app.in_use import READY, STAGE, WAIT_S, alone, restore_is_cut_off
from edge_app.inference.durable import Rights, sync_folder, write_durably

PARTS = ("models", "jobs", ACCESS, RECORDS)
BESIDE_RECORDS = ("records.db-wal", "records.db-shm")
"""They belong to the old records: beside the new ones they would be taken for theirs."""

SETTINGS_MODE = 0o640
"""Root's own, and the programs' to read: a camera's password may stand in it."""

STOP_S = 3.0
"""Programs that were told to stop are gone by then; `systemctl stop` waits for the target alone."""

Move = Callable[[Path, Path], object]


def prepare(stream: BinaryIO, data_dir: Path, who: str, *, settings: bool) -> list[str]:
    """Unpack and verify a backup, and promise to put it in place; what was found.

    Args:
        stream: The archive.
        data_dir: What it shall replace.
        who: Who wants it, for the audit log.
        settings: Whether the settings shall be replaced too.

    Raises:
        BackupError: It can't be used; nothing was changed.
        InUse: Programs work on the data.
        OSError: The disk refuses; nothing was changed.
    """
    stage = data_dir / STAGE
    with alone(data_dir, STOP_S):
        if restore_is_cut_off(data_dir):
            raise BackupError("an earlier restore was cut off: lineside restore --finish first")
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(mode=0o700)
        try:
            manifest = unpack(stream, stage)
            said = verify(stage, data_dir, manifest.made_at)
            if not settings:
                (stage / SETTINGS).unlink()
            _sync(stage)
            _note(manifest, data_dir, who)
            parts = [name for name in PARTS if (stage / name).exists()]
            write_durably(stage / READY, json.dumps(parts).encode())
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise
    return [_told(manifest), *said]


def finish(data_dir: Path, config: Path, move: Move = os.replace) -> bool:
    """Put in place what was promised, from wherever that was cut off; False if nothing was.

    Args:
        data_dir: The data directory.
        config: The settings file, which may be root's own.
        move: Renames; a seam for tests.

    Raises:
        InUse: Programs work on the data.
        OSError: The disk refuses; call it again.
    """
    if not restore_is_cut_off(data_dir):
        return False
    if as_owner(data_dir, lambda: _put_in_place(data_dir, move)) != 0:
        raise OSError(f"the restored data can't be put in place in {data_dir}")
    staged = data_dir / STAGE / SETTINGS
    if staged.exists():
        _write_settings(_read(staged), config, data_dir)
    if as_owner(data_dir, lambda: _clean(data_dir)) != 0:
        raise OSError(f"what a restore left in {data_dir} can't be removed")
    return True


def _put_in_place(data_dir: Path, move: Move) -> int:
    stage, old = data_dir / STAGE, data_dir / STAGE / "old"
    with alone(data_dir, WAIT_S):
        old.mkdir(exist_ok=True)
        parts = json.loads((stage / READY).read_bytes())
        for name in (entry for entry in PARTS if entry in parts):
            if not (stage / name).exists():
                continue  # it is in place already
            beside = BESIDE_RECORDS if name == RECORDS else ()
            for former in (*beside, name):
                if os.path.lexists(data_dir / former):
                    _away(old / former)
                    move(data_dir / former, old / former)
            move(stage / name, data_dir / name)
            sync_folder(data_dir)
    return 0


def _away(path: Path) -> None:
    """Make room for what is moved there: a restore that was cut off may have begun to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _clean(data_dir: Path) -> int:
    stage = data_dir / STAGE
    # The promise first: it is kept.
    (stage / READY).unlink()
    sync_folder(stage)
    shutil.rmtree(stage)
    return 0


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _write_settings(content: bytes, config: Path, data_dir: Path) -> None:
    config.parent.mkdir(parents=True, exist_ok=True)
    write_durably(config, content, _rights(config, data_dir))


def _rights(config: Path, data_dir: Path) -> Rights:
    """Those of the file that is replaced; a new one is for the programs only, as installed."""
    if config.exists():
        former = config.stat()
        return Rights(former.st_uid, former.st_gid, stat.S_IMODE(former.st_mode))
    group = data_dir.stat().st_gid if os.geteuid() == 0 else os.getegid()
    return Rights(os.geteuid(), group, SETTINGS_MODE)


def _sync(folder: Path) -> None:
    for root, _, _ in os.walk(folder):
        sync_folder(Path(root))


def _note(manifest: Manifest, data_dir: Path, who: str) -> None:
    new = {"made_at": manifest.made_at, "host": manifest.host, "version": manifest.version}
    Audit(data_dir).write(who, "device.restore", "device", None, new)


def _told(manifest: Manifest) -> str:
    return f"backup of {manifest.host} by Lineside {manifest.version}, {len(manifest.files)} files"
