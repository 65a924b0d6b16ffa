"""The whole process group killed at random moments under load, again and again.

    scripts/power-cuts [--cuts 500]

Some cuts come while the programs start, most under load. Prints counts; status 1 if an answer
without its record, a torn record, an id twice, a wrong counter or a failed start was found.
"""

from __future__ import annotations

import argparse
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from audit import Books
from plant import Plant, in_memory, make_plant

enough = threading.Event()
"""Set by Ctrl-C: the counts so far are told."""

EARLY_SHARE = 0.25
"""Cuts that come while the programs start."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses at present."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def cut_again_and_again(folder: Path, run_dir: Path, cuts: int, seed: int, minutes: float) -> Books:
    """Do it; what was found."""
    dice, books = random.Random(seed), Books()  # noqa: S311 - no secret
    plc_port, app_port = free_ports(2)
    data_dir = folder / "data"
    make_plant(data_dir, plc_port, app_port)
    plant = Plant(data_dir, run_dir, plc_port, app_port, dice)
    starts: list[float] = []
    ends_at = time.monotonic() + 60 * minutes
    for life in range(cuts):
        books.thorough = life % 20 == 19 or life == cuts - 1
        early = life > 0 and dice.random() < EARLY_SHARE
        plant.start(life)
        try:
            if early:
                time.sleep(dice.uniform(0, 1.5))
            else:
                starts.append(plant.wait_ready())
                time.sleep(dice.uniform(0, 0.6))
        except AssertionError as error:
            books.faults.append(str(error))
        cut_at = plant.pull()
        plant.catch_up()
        books.counts["cuts"] += 1
        books.counts["cuts while starting"] += early
        books.take(plant.told)
        books.look(data_dir, plant.told, cut_at, synced=False)
        if life % 25 == 24:
            sys.stderr.write(f"{life + 1} cuts, {len(books.faults)} faults\n")
        if len(books.faults) > 20 or time.monotonic() > ends_at or enough.is_set():
            break
    books.counts["longest start, ms"] = round(1000 * max(starts))
    return books


def tell(books: Books) -> int:
    """Print what was found; the exit status."""
    for name, count in books.counts.items():
        sys.stdout.write(f"{count:8d}  {name}\n")
    for fault in books.faults[:20]:
        sys.stdout.write(f"FAULT: {fault}\n")
    sys.stdout.write(f"{len(books.faults) or 'no'} faults\n")
    return 1 if books.faults else 0


def main() -> int:
    """As from the command line."""
    signal.signal(signal.SIGINT, lambda *_: enough.set())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=60, help="no more cuts after that")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    sys.stdout.write(f"seed {arguments.seed}\n")
    with tempfile.TemporaryDirectory(prefix="power-cuts-") as folder, in_memory() as run_dir:
        cuts, seed, minutes = arguments.cuts, arguments.seed, arguments.minutes
        return tell(cut_again_and_again(Path(folder), run_dir, cuts, seed, minutes))


if __name__ == "__main__":
    sys.exit(main())
