"""Checks of the computer: disk, memory, clock, heat, and who may read what."""

from __future__ import annotations

import os
import re
import stat
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge_app.box import read_heat
from edge_app.care.device import Device
from edge_app.care.finding import Finding, fault, ok, warning
from edge_app.clock import clock_is_kept, kernel_clock
from edge_app.in_use import restore_is_cut_off
from edge_app.records.damage import notice
from edge_app.secret import redacted
from edge_app.vitals import HOT_C

WRITES = 7
FULL_MB = 100
LEAST_FILES = 1000
LEAST_MEMORY_MB, SCARCE_MEMORY_MB = 60, 150
RECORD_SHARE = 0.1
"""Of a part's budget: so long its answer waits for the record."""


def restores(device: Device) -> Iterator[Finding]:
    """Was a restore cut off?"""
    if restore_is_cut_off(device.settings.data_dir):
        yield fault(
            "restore",
            "cut off: no program starts until it is complete",
            "lineside restore --finish",
        )


def disk(device: Device) -> Iterator[Finding]:
    """Is there space, may we write, and how long does a durable write take?"""
    folder = device.settings.data_dir
    try:
        space = os.statvfs(folder)
        took_ms = _durable_write_ms(folder)
    except OSError as error:
        todo = "make it, mount it writable, or mend its owner and mode"
        yield fault("disk", f"{folder} can't be written: {error.strerror}", todo)
        return
    free_mb = space.f_bavail * space.f_frsize // 1_000_000
    floor_mb = device.settings.data.images_min_free_mb
    text = f"{free_mb} MB free in {folder}"
    if free_mb < FULL_MB or (space.f_files and space.f_favail < LEAST_FILES):
        yield fault("disk", f"{text}, {space.f_favail} files more", "make room")
    elif free_mb < floor_mb:
        todo = "make room, or lower data.images_min_free_mb"
        yield warning("disk", f"{text}; below {floor_mb} MB no picture is kept", todo)
    else:
        yield ok("disk", text)
    yield _speed(took_ms, device)


def _speed(took_ms: float, device: Device) -> Finding:
    budgets = [camera.deadline_ms for camera in device.settings.cameras.values()]
    bound_ms = RECORD_SHARE * min(budgets, default=device.settings.app.deadline_ms)
    text = f"a durable write takes {took_ms:.1f} ms (median of {WRITES})"
    if took_ms <= bound_ms:
        return ok("disk speed", text)
    todo = "answers come in time with warning 50, the record follows; a better card ends that"
    return warning("disk speed", f"{text}; an answer waits {bound_ms:.0f} ms at most", todo)


def _durable_write_ms(folder: Path) -> float:
    took = []
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".check-") as file:
        for _ in range(WRITES):
            file.write(bytes(4096))
            file.flush()
            began = time.monotonic()
            os.fsync(file.fileno())
            took.append((time.monotonic() - began) * 1000)
    return statistics.median(took)


def records(device: Device) -> Iterator[Finding]:
    """Were records damaged?"""
    if said := notice(device.settings.data_dir):
        yield warning("records", said, "look for the cause, then move the old ones elsewhere")


def memory(device: Device) -> Iterator[Finding]:
    """Is there memory left?"""
    del device
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    known = {name: int(kb) // 1000 for name, kb in re.findall(r"(\w+):\s+(\d+) kB", text)}
    free_mb, total_mb = known["MemAvailable"], known["MemTotal"]
    said = f"{free_mb} MB of {total_mb} MB available"
    if free_mb >= SCARCE_MEMORY_MB:
        yield ok("memory", said)
        return
    grade = fault if free_mb < LEAST_MEMORY_MB else warning
    yield grade("memory", said, "stop what does not belong here, or fewer cameras and models")


def clock(device: Device) -> Iterator[Finding]:
    """Does somebody keep the clock? Deadlines don't need it; records do."""
    del device
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if clock_is_kept(kernel=kernel_clock()):
        yield ok("clock", f"{now}, synchronised")
        return
    todo = "timedatectl set-ntp true, with a time server that the device can reach"
    yield warning("clock", f"{now}, kept by nobody: times in the records may be wrong", todo)


def heat(device: Device) -> Iterator[Finding]:
    """Does the computer have to slow down?"""
    del device
    seen = read_heat()
    degrees = "no sensor" if seen.celsius is None else f"{seen.celsius:.0f} degrees"
    if seen.throttled:
        yield warning("heat", f"{degrees}, {seen.throttled}", "look at power supply and cooling")
    elif seen.celsius is not None and seen.celsius >= HOT_C:
        yield warning("heat", f"{degrees}: it will slow down", "cool it")
    else:
        yield ok("heat", degrees)


def permissions(device: Device) -> Iterator[Finding]:
    """Can only those read and write who may?"""
    data_dir, found = device.settings.data_dir, list[Finding]()
    if data_dir.is_dir():
        found += _closed(data_dir, 0o022, "others may write into it", f"chmod go-w {data_dir}")
    access = data_dir / "access.json"
    found += _closed(access, 0o077, "others may read it", f"chmod 600 {access}")
    for socket in sorted(device.settings.socket_dir.glob("*.sock")):
        found += _closed(socket, 0o002, "everybody may command the line", f"chmod o= {socket}")
    if device.config is not None:
        found += _settings_file(device.config)
    yield from found or [ok("permissions", f"{data_dir}, logins, sockets and settings are closed")]


def _closed(path: Path, bits: int, text: str, todo: str) -> list[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return []
    return [warning("permissions", f"{path}: {text} ({mode:04o})", todo)] if mode & bits else []


def _settings_file(path: Path) -> list[Finding]:
    found = _closed(path, 0o022, "others may write it", f"chmod go-w {path}")
    text = path.read_text(encoding="utf-8")
    sources = [line for line in text.splitlines() if re.match(r"\s*source\s*=", line)]
    if any(redacted(line) != line for line in sources):
        todo = "put user:password into a file of its own, named by `credentials`: docs/operation.md"
        found += _closed(path, 0o004, "a camera's password stands in it for all to read", todo)
    return found


def credentials(folder: Path) -> Iterator[Finding]:
    """Are the secrets root's alone? Only root can look; without the right nothing is said."""
    try:
        entries = [folder, *sorted(folder.iterdir())]
    except OSError:
        return
    for path in entries:
        seen = path.stat()
        if seen.st_uid != 0 or stat.S_IMODE(seen.st_mode) & 0o077:
            todo = f"chown root: {path}; chmod go= {path}"
            yield fault("credentials", f"{path} is not root's alone", todo)
            return
    yield ok("credentials", f"{len(entries) - 1} in {folder}, root's alone")
