"""`lineside backup FILE` and `lineside restore FILE`."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import pwd
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from edge_app.care.backup import BackupError, write_backup
from edge_app.care.place import DEMO_DATA, FILE, INSTALLED, Place, add_place, needed, place_of
from edge_app.care.restore import finish, prepare
from edge_app.care.rights import as_owner
from edge_app.inference.durable import sync_folder


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Mount both commands."""
    backup = commands.add_parser(
        "backup", help="settings, jobs, models and logins into one file, while all runs"
    )
    backup.add_argument("file", type=Path, help="the archive (.tar.gz)")
    backup.add_argument("--records", action="store_true", help="the records too, without pictures")
    backup.set_defaults(run=_backup)
    restore = commands.add_parser(
        "restore", help="make this device what a backup says; the programs must be stopped"
    )
    restore.add_argument("file", type=Path, nargs="?", help="the archive")
    restore.add_argument(
        "--keep-settings", action="store_true", help="leave this device's settings as they are"
    )
    restore.add_argument(
        "--finish", action="store_true", help="complete a restore that was cut off, if there is one"
    )
    restore.set_defaults(run=_restore)
    for parser in (backup, restore):
        add_place(parser)


def _backup(arguments: argparse.Namespace) -> int:
    place = place_of(arguments)
    config, settings = needed(place), place.settings()
    version = importlib.metadata.version("lineside")

    def write(stream: BinaryIO) -> int:
        manifest = write_backup(
            stream, config, settings.data_dir, version, records=arguments.records
        )
        size = sum(entry["bytes"] for entry in manifest.files.values())
        sys.stdout.write(f"{arguments.file}: {len(manifest.files)} files, {size} bytes\n")
        return 0

    with told_plainly():
        return write_whole(arguments.file, settings.data_dir, write)


def write_whole(path: Path, data_dir: Path, write: Callable[[BinaryIO], int]) -> int:
    """Write a private file, all or nothing; what goes into it is read with the owner's rights."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:

            def work() -> int:
                status = write(stream)
                stream.flush()
                return status

            status = as_owner(data_dir, work)
            os.fsync(stream.fileno())
        if status == 0:
            partial.replace(path)
            sync_folder(path.parent)
        return status
    finally:
        partial.unlink(missing_ok=True)


def _restore(arguments: argparse.Namespace) -> int:
    config, data_dir = _target(place_of(arguments))
    with told_plainly():
        if arguments.finish:
            done = finish(data_dir, config)
            sys.stdout.write("the restore is complete\n" if done else "nothing was cut off\n")
            return 0
        if arguments.file is None:
            raise BackupError("expected the archive's name, or --finish")
        data_dir.mkdir(parents=True, exist_ok=True)
        with arguments.file.open("rb") as stream:
            status = as_owner(data_dir, lambda: _prepare(stream, data_dir, arguments))
        if status == 0:
            finish(data_dir, config)
            sys.stdout.write(
                f"{data_dir} is restored. Start the programs; where the app's address or the "
                "cameras are others now, run scripts/install once more.\n"
            )
        return status


def _prepare(stream: BinaryIO, data_dir: Path, arguments: argparse.Namespace) -> int:
    with told_plainly():
        said = prepare(stream, data_dir, _who(), settings=not arguments.keep_settings)
        sys.stdout.write("".join(f"{line}\n" for line in said))
    return 0


def _target(place: Place) -> tuple[Path, Path]:
    """Settings file and data directory to be replaced, which may not be there yet."""
    if place.config is not None:
        return place.config, place.settings().data_dir
    if place.data is None and INSTALLED.parent.is_dir():
        return INSTALLED, place.settings().data_dir
    data_dir = place.data or DEMO_DATA
    return data_dir / FILE, data_dir


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """An OSError is a sentence here, no traceback."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise BackupError(f"{where}{error.strerror or error}") from error


def _who() -> str:
    """Who asks for it: behind sudo the person, else the user of this process."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"command:{os.environ.get('SUDO_USER') or user}"
