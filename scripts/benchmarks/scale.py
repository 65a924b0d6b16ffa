"""`scripts/simulate-scale`: how cost grows with cameras, pictures, people and records.

Processors are simulated (see `sharing.py`); the costs that go in are measured here and now,
on this machine, and so are the records' figures. Prints Markdown; `--write` puts it into
docs/scale.md.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Table, ms, percentile
from benchmarks.machine import describe_machine
from benchmarks.page import markdown
from benchmarks.place import ROOT, draw_photo
from benchmarks.sharing import Work, simulate
from edge_app.inference.decode import decode_image
from edge_app.inference.judge import Code, Decision
from edge_app.records.database import Database
from edge_app.records.inspection import Inspection

BEGIN, END = "<!-- simulation begins -->", "<!-- simulation ends -->"
DEADLINE_MS = 200.0
LINE_WEIGHT, APP_WEIGHT = 2.0, 1.0
"""As `CPUWeight=` in systemd/: the line's share against the app's."""

JITTER = 0.15
RARE, RARE_TIMES = 0.005, 4.0
"""One part in two hundred takes four times as long: the page cache, the disk, the kernel."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a box has to do.

    Args:
        cores: Processors.
        cameras: Lines.
        rate_hz: Parts a second for each.
        work_ms: Processor time of a part.
        uploads_hz: Pictures a second that the app judges.
        pages: People with the page open; each costs `page_ms` a second.
        page_ms: Processor time of one look at the page.
    """

    cores: int
    cameras: int
    rate_hz: float = 5.0
    work_ms: float = 15.0
    uploads_hz: float = 0.0
    pages: int = 0
    page_ms: float = 4.0


def outcome(load: Load, seconds: float, rng: random.Random) -> tuple[list[float], int, float]:
    """Milliseconds of the parts that were taken, how many were refused, processors wanted.

    A line takes one part at a time and refuses the next meanwhile. The app counts as one
    worker, for Python runs one of its threads at a time.
    """
    works = []
    for camera in range(load.cameras):
        period_ms = 1000 / load.rate_hz
        phase = rng.uniform(0, period_ms)
        for number in range(int(seconds * load.rate_hz)):
            # A belt's parts are not quite evenly spaced.
            at = phase + number * period_ms + rng.gauss(0, 0.05 * period_ms)
            needs_ms = _needs(load.work_ms, rng)
            works.append(Work(max(0.0, at), needs_ms, LINE_WEIGHT, f"cam{camera}", waits=False))
    for rate_hz, mean_ms in ((load.uploads_hz, load.work_ms), (load.pages, load.page_ms)):
        at = 0.0
        while rate_hz and (at := at + rng.expovariate(rate_hz) * 1000) < seconds * 1000:
            works.append(Work(at, _needs(mean_ms, rng), APP_WEIGHT, "app"))
    wanted = sum(work.needs_ms for work in works)
    done = [spent for work, spent in simulate(works, load.cores) if work.owner != "app"]
    taken = [spent for spent in done if spent is not None]
    return taken, len(done) - len(taken), wanted / (seconds * 1000 * load.cores)


def _needs(mean_ms: float, rng: random.Random) -> float:
    times = RARE_TIMES if rng.random() < RARE else 1.0
    return max(0.2 * mean_ms, rng.gauss(mean_ms, JITTER * mean_ms)) * times


def _row(load: Load, seconds: float) -> list[object]:
    times, refused, use = outcome(load, seconds, random.Random(1))  # noqa: S311 - no secret
    late = sum(spent > DEADLINE_MS for spent in times)
    parts = len(times) + refused
    figures = [ms(percentile(times, share)) for share in (50, 99, 99.9)]
    return [*figures, f"{late / parts:.2%}", f"{refused / parts:.2%}", f"{use:.0%}"]


HEADER = ["p50 ms", "p99 ms", "p99.9 ms", "past 200 ms", "refused, busy", "processors wanted"]


def by_cameras(work_ms: float, seconds: float) -> list[Table]:
    """Cameras on two and on four processors."""
    tables = []
    for cores in (2, 4):
        table = Table(
            f"Cameras on {cores} processors; 5 parts/s each, {work_ms:.0f} ms of work a part",
            ["cameras", *HEADER],
        )
        for cameras in (1, 2, 4, 8, 16, 32):
            load = Load(cores, cameras, work_ms=work_ms)
            table.rows.append([cameras, *_row(load, seconds)])
        tables.append(table)
    return tables


def by_people(work_ms: float, seconds: float) -> Table:
    """Page clients and uploads beside eight cameras."""
    table = Table(
        "People beside 8 cameras on 2 processors",
        ["page clients", "uploads/s", *HEADER],
        note="The app has half the weight of a line and one worker, so what it asks for beyond its "
        "share is its own delay. What it refuses to do in time is not simulated.",
    )
    for pages, uploads_hz in ((0, 0), (20, 0), (100, 0), (20, 20), (100, 50), (400, 50)):
        load = Load(2, 8, work_ms=work_ms, pages=pages, uploads_hz=uploads_hz)
        table.rows.append([pages, uploads_hz, *_row(load, seconds)])
    return table


def by_picture(work_ms: float, seconds: float) -> Table:
    """Larger pictures: the decoding is measured, its effect is simulated."""
    table = Table(
        "Picture size, 2 cameras on 2 processors",
        ["picture", "JPEG kB", "decoding ms (measured)", *HEADER],
        note="The camera's JPEG decoded in full. An uncompressed camera saves the decoding; a "
        "region of interest or a smaller picture from the camera saves most of it.",
    )
    for width, height in ((640, 480), (1280, 960), (1920, 1440), (2592, 1944), (4032, 3024)):
        photo = draw_photo(1, width, height)
        decoding_ms = _quickest(lambda photo=photo: decode_image(photo))  # type: ignore[misc]  # bound by default
        load = Load(2, 2, work_ms=work_ms + decoding_ms)
        size = f"{width} x {height}"
        row = [size, len(photo) // 1000, ms(decoding_ms), *_row(load, seconds)]
        table.rows.append(row)
    return table


def by_records(counts: tuple[int, ...]) -> Table:
    """Real databases of so many inspections: their size and what a page of the list costs."""
    table = Table(
        "Records (measured)",
        [
            "inspections",
            "at 2 parts/s",
            "MB",
            "newest page ms",
            "NG page ms",
            "oldest page ms",
            "commit ms",
        ],
        note="A page has 50 inspections, found by id, so it does not matter how many there are. "
        "The commit is that of one inspection with an fsync, in the folder for temporary files.",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.db"
        database = Database(path)
        have = 0
        for count in counts:
            for start in range(have, count, 5000):
                database.add(_inspection(n + 1) for n in range(start, min(start + 5000, count)))
            have = count
            size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
            pages: list[Callable[[], object]] = [
                database.inspections,
                lambda: database.inspections(decision="NG"),
                lambda: database.inspections(before_id=60),
            ]
            costs = [ms(_quickest(page)) for page in pages]
            have += 1
            newest = _inspection(have)
            commit_ms = _quickest(lambda newest=newest: database.add([newest]))  # type: ignore[misc]  # bound by default
            days = f"{count / 2 / 3600:.1f} hours"
            table.rows.append([count, days, f"{size:.0f}", *costs, ms(commit_ms)])
        database.close()
    return table


def _inspection(number: int) -> Inspection:
    good = number % 20 != 0
    return Inspection(
        id=number,
        camera="cam1",
        source="plc",
        trigger=number % 65_535 + 1,
        part=f"A{number}",
        job=1,
        model="flange/3",
        decision=Decision.OK if good else Decision.NG,
        code=Code.FINE,
        reason="good 0.98 is at least 0.90",
        label="good" if good else "scratch",
        label_index=0 if good else 1,
        score=0.98,
        scores={"good": 0.98, "scratch": 0.01, "chip": 0.005, "missing_hole": 0.005},
        laps_ms=dict.fromkeys(("queue", "frame", "decode", "preprocess", "wait", "invoke"), 1.25),
        total_ms=12.5,
        captured_at=1.76e9 + number / 2,
        image=f"{number // 1000:07d}/{number:010d}.jpg" if not good else "",
    )


def _quickest(work: Callable[[], object], runs: int = 5) -> float:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return min(times)


def main(argv: list[str] | None = None) -> int:
    """Simulate, measure, print or write."""
    parser = argparse.ArgumentParser("scripts/simulate-scale", description=__doc__)
    parser.add_argument("--work-ms", type=float, default=15.0, help="processor time of a part (15)")
    parser.add_argument("--seconds", type=float, default=300.0, help="simulated for each row (300)")
    parser.add_argument("--million", action="store_true", help="records up to a million")
    parser.add_argument("--write", action="store_true", help="into docs/scale.md")
    arguments = parser.parse_args(argv)
    counts = (1_000, 10_000, 100_000, *((1_000_000,) if arguments.million else ()))
    tables = [
        *by_cameras(arguments.work_ms, arguments.seconds),
        by_people(arguments.work_ms, arguments.seconds),
        by_picture(arguments.work_ms, arguments.seconds),
        by_records(counts),
    ]
    machine = describe_machine()
    where = f"{machine['processor']}, {machine['cores']} cores, kernel {machine['kernel']}"
    lines = [f"Costs measured on {where}; processors simulated.", ""]
    for table in tables:
        lines += [f"### {table.title}", "", *markdown(table), ""]
        if table.note:
            lines += [table.note, ""]
    if not arguments.write:
        print("\n".join(lines))
        return 0
    page = ROOT / "docs" / "scale.md"
    text = page.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    page.write_text("\n".join([f"{head}{BEGIN}", "", *lines, f"{END}{tail}"]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
