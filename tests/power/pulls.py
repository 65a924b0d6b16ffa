"""The power pulled: a disk's writes under load are replayed up to random moments.

    scripts/power-pulls [--pulls 50]

Any part of what was not flushed at that moment is missing. On each
disk that results the file system is mounted, the records are looked at, and both
programs start and answer. Prints counts; status 1 on a fault. Needs root.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from audit import Books
from cuts import enough, free_ports, tell
from disk import Disk, after_cut
from plant import Plant, Told, in_memory, make_plant

SIZE = 128 << 20
LOAD_S = 25.0


def record(plant: Plant, mounted: Disk, ports: tuple[int, int], load_s: float) -> tuple[int, Told]:
    """Put the plant under load on the recorded disk; from which event on, and what was told."""
    make_plant(mounted.path / "data", *ports)
    os.sync()
    begun = len(mounted.events)
    plant.start(0)
    plant.wait_ready()
    time.sleep(load_s)
    plant.pull()
    return begun, plant.told


def replay(folder: Path, image: bytes, cut_at: float, told: Told, plant: Plant) -> Books:
    """One pull: what is found on the disk and after a start on it."""
    before = Told(told.fired, [ack for ack in told.acks if ack.at < cut_at], told.since)
    books = Books()
    books.take(before)
    file, mount = folder / "image", folder / "again"
    mount.mkdir(exist_ok=True)
    file.write_bytes(image)
    subprocess.run(["mount", "-o", "loop", file, mount], check=True)
    try:
        books.look(mount / "data", before, cut_at, synced=True)
        plant.lose_memory()
        plant.start(1)
        try:
            plant.wait_ready()
        except AssertionError as error:
            books.faults.append(str(error))
        plant.pull()
        plant.catch_up()
        books.take(plant.told)
        books.look(mount / "data", plant.told, time.monotonic(), synced=False)
    finally:
        subprocess.run(["umount", mount], check=True)
    return books


def pull_again_and_again(
    folder: Path, run_dir: Path, pulls: int, seed: int, load_s: float = LOAD_S
) -> Books:
    """Do it; what was found."""
    dice, (plc_port, app_port), everything = random.Random(seed), free_ports(2), Books()  # noqa: S311
    mounted = Disk(folder, SIZE)
    try:
        plant = Plant(mounted.path / "data", run_dir, plc_port, app_port, dice)
        begun, told = record(plant, mounted, (plc_port, app_port), load_s)
        events = list(mounted.events)
    finally:
        mounted.close()
    kinds = Counter("flushes" if event.content is None else "writes" for event in events[begun:])
    everything.counts.update(kinds)
    again = Plant(folder / "again" / "data", run_dir, plc_port, app_port, dice)
    for number in range(pulls):
        cut = dice.randrange(begun, len(events))
        image = after_cut(events, SIZE, cut, dice)
        books = replay(folder, image, events[cut].at, told, again)
        everything.counts["pulls"] += 1
        everything.counts.update(books.counts)
        everything.faults += [f"pull {number}: {fault}" for fault in books.faults]
        if enough.is_set():
            break
        if number % 10 == 9:
            sys.stderr.write(f"{number + 1} pulls, {len(everything.faults)} faults\n")
    return everything


def main() -> int:
    """As from the command line."""
    signal.signal(signal.SIGINT, lambda *_: enough.set())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pulls", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    sys.stdout.write(f"seed {arguments.seed}\n")
    with tempfile.TemporaryDirectory(prefix="power-pulls-") as folder, in_memory() as run_dir:
        return tell(pull_again_and_again(Path(folder), run_dir, arguments.pulls, arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
