"""`lineside support-bundle`: what somebody far away needs to help, without any secret."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib.metadata
import io
import json
import platform
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from edge_app.audit import Audit
from edge_app.box import describe_box, read_heat
from edge_app.care.backup_cli import told_plainly, write_whole
from edge_app.care.cameras import ANYWHERE
from edge_app.care.check import CREDENTIALS, everything
from edge_app.care.device import look_at
from edge_app.care.finding import fault, told
from edge_app.care.place import Place, add_place, place_of
from edge_app.care.scrub import Scrub, secrets_of
from edge_app.care.services import RUNS, units_of
from edge_app.config import ConfigError, Settings
from edge_app.inference.interpreter import installed_runtimes
from edge_app.jobs import JobStore
from edge_app.models import ModelStore
from edge_app.settings_file import load_settings, to_toml

MAX_TEXT_BYTES = 2_000_000
MAX_BYTES = 30_000_000
MAX_PICTURES, MAX_PICTURE_BYTES = 20, 2_000_000
JOURNAL_LINES = 5000
SLOWEST, AMONG = 50, 20_000
AUDIT_ENTRIES = 200
ASK_S, TELL_S = 3.0, 20.0

README = """\
Made by `lineside support-bundle` of Lineside {version} on {host}, {when}.

check.txt, check.json   what `lineside check` finds
settings.toml           settings in force; jobs/ as they stand
versions.json           Lineside, Python, runtimes and packages
hardware.json           the computer
app.json, lines.json    what app and lines say of themselves
models.json             models, versions, and what was measured of them
slowest.json            the {slowest} slowest of the newest {among} inspections
audit.json              the newest {audit} changes
services.txt, units.txt what systemd says of the units, where there is one
journal.txt, logs/      the end of the logs

Passwords, tokens, their hashes and keys are left out or replaced by ***. Names of people, parts,
jobs and addresses of devices are in it. {pictures}
"""

Parts = Iterator[tuple[str, str | bytes]]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Mount the command."""
    bundle = commands.add_parser(
        "support-bundle", help="one file with all that helps to find a fault, without secrets"
    )
    bundle.add_argument("-o", "--output", type=Path, help="the archive (.tar.gz)")
    bundle.add_argument("--pictures", action="store_true", help="the newest pictures too")
    add_place(bundle)
    bundle.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    place, problem = place_of(arguments), ""
    try:
        settings = place.settings()
    except ConfigError as error:
        problem, settings = str(error), load_settings(Place(None, place.data).config)
    scrub = Scrub(secrets_of(settings, CREDENTIALS))
    name = f"lineside-support-{platform.node() or 'device'}-{time.strftime('%Y%m%d-%H%M%S')}.tar.gz"
    output = arguments.output or Path(name)
    # What only root may read comes first; the rest is read with the programs' rights.
    from_root = list(_logs_of_systemd(settings))

    def write(stream: BinaryIO) -> int:
        size = write_bundle(
            stream, scrub, _parts(place, settings, problem, from_root, pictures=arguments.pictures)
        )
        sys.stdout.write(f"{output}: {size} bytes before packing\n")
        return 0

    with told_plainly():
        return write_whole(output, settings.data_dir, write)


def write_bundle(stream: BinaryIO, scrub: Scrub, parts: Parts) -> int:
    """Write the parts, each text scrubbed and bounded; bytes that were written.

    Args:
        stream: Where to.
        scrub: Takes secrets out of texts.
        parts: Name and content: text, or a picture.
    """
    written = 0
    with tarfile.open(fileobj=stream, mode="w|gz", format=tarfile.PAX_FORMAT) as archive:
        for name, part in parts:
            content = _bounded(scrub(part)) if isinstance(part, str) else part
            if written + len(content) > MAX_BYTES:
                continue
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(content))
            written += len(content)
    return written


def _bounded(text: str) -> bytes:
    content = text.encode("utf-8", "replace")
    if len(content) <= MAX_TEXT_BYTES:
        return content
    return b"[the beginning is left out]\n" + content[-MAX_TEXT_BYTES:]


def _parts(
    place: Place,
    settings: Settings,
    problem: str,
    from_root: list[tuple[str, str]],
    *,
    pictures: bool,
) -> Parts:
    yield (
        "README.txt",
        README.format(
            version=importlib.metadata.version("lineside"),
            host=platform.node(),
            when=time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            slowest=SLOWEST,
            among=AMONG,
            audit=AUDIT_ENTRIES,
            pictures="Pictures of parts are in it." if pictures else "No pictures are in it.",
        ),
    )
    yield from from_root
    if problem and place.config is not None:
        with contextlib.suppress(OSError):
            yield "settings-wrong.toml", place.config.read_text("utf-8", "replace")
    gather: tuple[Callable[[], Parts], ...] = (
        lambda: _check(place, settings, problem),
        _facts,
        lambda: _said(settings),
        lambda: _kept(settings),
        lambda: _records(settings.data_dir / "records.db"),
        lambda: _logs_of_up(settings.data_dir / "logs"),
    )
    for part in gather:
        yield from _guarded(part)
    yield "settings.toml", to_toml(settings)
    if pictures:
        yield from _pictures(settings.data_dir / "images")


def _guarded(part: Callable[[], Parts]) -> Parts:
    """What can't be gathered is said; the rest comes all the same."""
    try:
        yield from part()
    # A part's edge: a bundle is asked for when something is broken.
    except Exception as error:  # noqa: BLE001 - said in the bundle
        yield f"not-gathered-{type(error).__name__}.txt", f"{error}\n"


def _check(place: Place, settings: Settings, problem: str) -> Parts:
    found = [fault("settings", problem, "mend it")] if problem else everything(place, settings)
    yield "check.txt", told(found) + "\n"
    yield "check.json", _json([entry.to_json() for entry in found])


def _facts() -> Parts:
    packages = {
        distribution.name: distribution.version
        for distribution in importlib.metadata.distributions()
    }
    yield (
        "versions.json",
        _json(
            {
                "lineside": importlib.metadata.version("lineside"),
                "python": sys.version,
                "runtimes": installed_runtimes(),
                "packages": dict(sorted(packages.items())),
            }
        ),
    )
    yield "hardware.json", _json(describe_box() | {"heat": asdict(read_heat())})


def _said(settings: Settings) -> Parts:
    yield "lines.json", _json(look_at(None, settings).lines)
    app = {path: _asked(settings, path) for path in ("/health", "/api/v1/status")}
    yield "app.json", _json(app)


def _asked(settings: Settings, path: str) -> Any:
    host = ANYWHERE.get(settings.app.host, settings.app.host)
    connection = http.client.HTTPConnection(host, settings.app.port, timeout=ASK_S)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read(MAX_TEXT_BYTES))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no answer: {error or type(error).__name__}"
    finally:
        connection.close()


def _kept(settings: Settings) -> Parts:
    store, jobs = ModelStore(settings.data_dir / "models"), JobStore(settings.data_dir / "jobs")
    models = []
    for name in store.names():
        active = store.active(name)
        for version in store.versions(name):
            tuning = store.tuning(version)
            models.append(
                {
                    "name": name,
                    "version": version.version,
                    "active": version == active,
                    "bytes": version.path.stat().st_size,
                    "tuning": tuning.to_json() if tuning else None,
                }
            )
    yield "models.json", _json(models)
    for number in jobs.numbers():
        path = jobs.folder / f"{number:03d}.toml"
        yield f"jobs/{path.name}", path.read_text("utf-8", "replace")
    yield "audit.json", _json(Audit(settings.data_dir).latest(limit=AUDIT_ENTRIES))


def _records(path: Path) -> Parts:
    if not path.exists():
        return
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=ASK_S)
    try:
        database.row_factory = sqlite3.Row
        rows = database.execute(
            "SELECT * FROM (SELECT * FROM inspections ORDER BY captured_at DESC LIMIT ?) "
            "ORDER BY total_ms DESC LIMIT ?",
            (AMONG, SLOWEST),
        )
        yield "slowest.json", _json([dict(row) for row in rows])
    finally:
        database.close()


def _logs_of_systemd(settings: Settings) -> Iterator[tuple[str, str]]:
    if not RUNS.exists():
        return
    units = units_of(list(settings.cameras))
    journal = ["journalctl", "--no-pager", "-o", "short-iso", "-n", str(JOURNAL_LINES)]
    for name, command in (
        ("journal.txt", [*journal, *(word for unit in units for word in ("-u", unit))]),
        ("services.txt", ["systemctl", "status", "--no-pager", "-n", "0", *units]),
        ("units.txt", ["systemctl", "show", "--no-pager", *units]),
    ):
        yield name, _told_by(command)


def _told_by(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TELL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}\n"
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _logs_of_up(folder: Path) -> Parts:
    for path in sorted(folder.glob("*.log")):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MAX_TEXT_BYTES))
            yield f"logs/{path.name}", file.read(MAX_TEXT_BYTES).decode("utf-8", "replace")


def _pictures(folder: Path) -> Parts:
    found = [path for path in folder.rglob("*.jpg") if path.stat().st_size <= MAX_PICTURE_BYTES]
    newest = sorted(found, key=lambda path: path.stat().st_mtime)[-MAX_PICTURES:]
    for path in newest:
        with contextlib.suppress(OSError):
            yield f"pictures/{path.relative_to(folder)}", path.read_bytes()


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n"
