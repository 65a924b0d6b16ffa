"""Bytes written to a block device for a number of inspections, by purpose and against the naive.

Each way of working runs on an ext4 file system of its own (a loop device), all at once and at
the same pace. What the device was given is read from its `stat` after the file system was
unmounted, so the file system's own journal and tables are in it. Purposes are told apart by
differences: with and without pictures, with and without parts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import cv2

from edge_app.lines import LineDown, Lines
from edge_app.records.schema import PAGE_BYTES
from edge_app.records.sync import CHECKPOINT
from edge_app.up import DEMO, make_demo_line

IMAGE_BYTES = 1 << 30
SECTOR_BYTES, WRITTEN = 512, 6
NO_FLOOR, NO_PICTURES = 0, 10_000_000
READY_S = 60.0

LINE = """
import sys
import edge_app.records.schema as schema
import edge_app.records.sync as sync
from camera.__main__ import main
sync.CHECKPOINT, schema.PAGE_BYTES = int(sys.argv.pop(1)), int(sys.argv.pop(1))
sys.exit(main())
"""
"""The line as it is, but for how often the log is copied into the database, and its pages."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many parts, and how many of them in a second."""

    inspections: int
    rate_hz: float


@dataclass(slots=True)
class Found:
    """What a way of working wrote.

    Args:
        device: Bytes that the block device was given.
        inspections: How many parts there were.
        program: What the program itself counted, by purpose.
        log: Bytes of its log.
    """

    device: int
    inspections: int
    program: dict[str, int]
    log: int = 0

    def per_1000(self, count: int) -> float:
        """Megabytes for a thousand inspections."""
        return count / max(1, self.inspections) * 1000 / 1e6


Work = Callable[[Path, Pace], Found]


@contextlib.contextmanager
def file_system(folder: Path) -> Iterator[tuple[Path, Callable[[], int]]]:
    """An empty ext4; gives where it is mounted and what its device was given so far."""
    image, mounted = folder / "disk.img", folder / "disk"
    mounted.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    loop = _run("losetup", "--find", "--show", str(image))
    stat = Path("/sys/block") / Path(loop).name / "stat"
    try:
        # Else the kernel goes on making the file system's tables for minutes.
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", loop)
        _run("mount", loop, str(mounted))
        yield mounted, lambda: int(stat.read_text().split()[WRITTEN]) * SECTOR_BYTES
    finally:
        subprocess.run(["umount", str(mounted)], check=False, stderr=subprocess.DEVNULL)
        _run("losetup", "--detach", loop)


def measured(work: Work, prepare: Callable[[Path], None], pace: Pace) -> Found:
    """Let a way of working run on a device of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="lineside-writes-") as folder,
        file_system(Path(folder)) as (mounted, written),
    ):
        prepare(mounted)
        _run("sync", "--file-system", str(mounted))
        before = written()
        found = work(mounted, pace)
        _run("umount", str(mounted))
        found.device = written() - before
        return found


def naive(*, pictures: bool, records: bool) -> Work:
    """Every frame in a file, every verdict in a commit of its own, all as the libraries do it."""

    def work(folder: Path, pace: Pace) -> Found:
        connection = sqlite3.connect(folder / "results.db")
        connection.execute(
            "CREATE TABLE results (id INTEGER PRIMARY KEY, time REAL, verdict TEXT, score REAL)"
        )
        connection.commit()
        frames = cycle([cv2.imread(str(path)) for path in sorted((DEMO / "parts").glob("*.jpg"))])
        begun = time.monotonic()
        for number in range(pace.inspections):
            time.sleep(max(0.0, begun + number / pace.rate_hz - time.monotonic()))
            if pictures:
                cv2.imwrite(str(folder / f"{number:06d}.jpg"), next(frames))
            if records:
                connection.execute(
                    "INSERT INTO results VALUES (?, ?, 'OK', 0.97)", (number, time.time())
                )
                connection.commit()
        connection.close()
        return Found(0, pace.inspections, {})

    return work


def line(
    *,
    keep_ok_one_in: int = 10,
    min_free_mb: int = NO_FLOOR,
    sync_within_ms: float = 1000,
    checkpoint: int = CHECKPOINT,
    page_bytes: int = PAGE_BYTES,
    idle: bool = False,
) -> Work:
    """The real line with the demo's model and photographs."""

    def work(folder: Path, pace: Pace) -> Found:
        settings = folder / "settings.toml"
        # The demo's own pace is not the one that is measured.
        environ = os.environ | {
            "LINESIDE_DATA__DIR": str(folder),
            "LINESIDE_DATA__SOCKET_DIR": str(folder / "run"),
            "LINESIDE_DATA__KEEP_OK_ONE_IN": str(keep_ok_one_in),
            "LINESIDE_DATA__IMAGES_MIN_FREE_MB": str(min_free_mb),
            "LINESIDE_DATA__SYNC_WITHIN_MS": str(sync_within_ms),
            "LINESIDE_CAMERAS__CAM1__FREE_RUN_HZ": "0" if idle else str(pace.rate_hz),
            "LINESIDE_CAMERAS__CAM1__PLC": "off",
        }
        tuned = str(checkpoint), str(page_bytes)
        with tempfile.TemporaryFile() as log:
            program = subprocess.Popen(
                [sys.executable, "-c", LINE, *tuned, "cam1", "--config", str(settings)],
                env=environ,
                stderr=log,
            )
            try:
                count = _wait(Lines(folder / "run", ["cam1"]), pace, idle=idle)
            finally:
                program.terminate()
                program.wait(10)
            log_bytes = log.tell()
        days = json.loads((folder / "written" / "cam1.json").read_text())
        return Found(0, count, days[max(days)], log_bytes)

    return work


def _wait(lines: Lines, pace: Pace, *, idle: bool) -> int:
    """Until the line has inspected enough, or for as long as that would take."""
    until = time.monotonic() + READY_S + pace.inspections / pace.rate_hz
    idle_until = time.monotonic() + pace.inspections / pace.rate_hz
    while time.monotonic() < until:
        time.sleep(0.02)
        with contextlib.suppress(LineDown, ValueError):
            total = int(lines.ask("cam1", "GET", "/status").json()["life"]["total"])
            if total >= pace.inspections:
                return total
        if idle and time.monotonic() > idle_until:
            return pace.inspections
    raise SystemExit("the line did not inspect that many parts in time")


def demo(folder: Path) -> None:
    """The demo's model, job and settings."""
    make_demo_line(folder, folder / "settings.toml")


def nothing(folder: Path) -> None:
    """An empty disk."""
    del folder


WAYS: dict[str, tuple[Work, Callable[[Path], None]]] = {
    "naive pictures": (naive(pictures=True, records=False), nothing),
    "naive records": (naive(pictures=False, records=True), nothing),
    "naive": (naive(pictures=True, records=True), nothing),
    "idle": (line(idle=True, min_free_mb=NO_PICTURES), demo),
    "records": (line(min_free_mb=NO_PICTURES), demo),
    "default": (line(), demo),
    "every picture": (line(keep_ok_one_in=1), demo),
    "a sync each": (line(min_free_mb=NO_PICTURES, sync_within_ms=0), demo),
    "checkpoint 10": (line(min_free_mb=NO_PICTURES, checkpoint=10), demo),
    "checkpoint 1000": (line(min_free_mb=NO_PICTURES, checkpoint=1000), demo),
    "pages of 2 kB": (line(min_free_mb=NO_PICTURES, page_bytes=2048), demo),
    "pages of 4 kB": (line(min_free_mb=NO_PICTURES, page_bytes=4096), demo),
}


def measure(pace: Pace) -> dict[str, Found]:
    """All ways of working, side by side: they wait most of the time."""
    found: dict[str, Found] = {}
    failed: list[str] = []

    def one(name: str) -> None:
        try:
            found[name] = measured(*WAYS[name], pace)
        # The others' devices have to be let go of first.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            failed.append(f"{name}: {error}")

    threads = [threading.Thread(target=one, args=(name,)) for name in WAYS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit("; ".join(failed))
    return found


def tables(found: dict[str, Found], pace: Pace) -> Iterator[str]:
    """What was found, in Markdown."""
    mb = {name: one.per_1000(one.device) for name, one in found.items()}
    own = {
        name: {purpose: one.per_1000(count) for purpose, count in one.program.items()}
        for name, one in found.items()
    }
    yield f"MB for 1000 inspections, {pace.rate_hz:g} a second, {pace.inspections} measured.\n"
    yield "| purpose | naive | Lineside, as set | every picture kept | the line's own count |"
    yield "|---|---|---|---|---|"
    kept, every = mb["default"] - mb["records"], mb["every picture"] - mb["records"]
    records = mb["records"] - mb["idle"]
    counted = own["default"]
    yield (
        f"| pictures | {mb['naive pictures']:.1f} | {kept:.1f} | {every:.1f} "
        f"| {counted['pictures']:.1f} |"
    )
    yield (
        f"| records | {mb['naive records']:.1f} | {records:.1f} | {records:.1f} "
        f"| {counted['records']:.1f} |"
    )
    idle = mb["idle"]
    yield f"| without any part | 0.0 | {idle:.2f} | {idle:.2f} | |"
    yield (
        f"| all, as measured together | {mb['naive']:.1f} | {mb['default']:.1f} "
        f"| {mb['every picture']:.1f} | {counted['kernel']:.1f} (kernel) |\n"
    )
    yield f"Log of the line: {found['default'].log / 1000:.1f} kB from start to stop.\n"
    yield "| records only | MB |\n|---|---|"
    for name in WAYS:
        if name.startswith(("naive", "idle", "default", "every")):
            continue
        yield f"| {name} | {mb[name] - mb['idle']:.1f} |"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("measure-writes", description=__doc__)
    parser.add_argument("--inspections", type=int, default=1000, help="how many parts (1000)")
    parser.add_argument("--rate-hz", type=float, default=10.0, help="parts a second (10)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("measure-writes: must run as root, to make file systems", file=sys.stderr)
        return 1
    pace = Pace(arguments.inspections, arguments.rate_hz)
    for text in tables(measure(pace), pace):
        print(text)
    return 0


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
