"""Memory of line and app against the tutorials' service, before and after the same work."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from benchmarks.clients import Plc, ask, hey, multipart
from benchmarks.crowd import crowd
from benchmarks.figures import Part, Table, ratio
from benchmarks.part_app import wait_until
from benchmarks.place import SCRIPTS, Place, draw_photo
from benchmarks.processes import Running, all_stopped, resident_mb, start
from edge_app.settings_file import load_settings

SIZES_PX = ((640, 480), (1280, 960), (1920, 1440), (4000, 3000))
"""From a webcam's picture to a phone's."""

REST_S = 3.0
"""After the work, before memory is read: requests that are under way end."""

PAGE_CLIENTS = 2


def compare(part: Part, place: Place) -> None:
    """Let each do the same uploads; the line its parts, and the app its pages, besides."""
    uploads, triggers = (40, 100) if place.quick else (1000, 1000)
    data = place.stocked("memory")
    config = place.settings(data, ["cam1"])
    settings = load_settings(config)
    pictures = [_picture(data, width, height) for width, height in SIZES_PX]
    programs: list[Running] = []
    with all_stopped(programs):
        tutorial_port = place.port()
        programs.append(_tutorial(place, data, tutorial_port))
        programs.append(place.start_app(config))
        programs.append(place.start_line(config, "cam1"))
        before = [resident_mb(running.pid) for running in programs]
        answers = _upload(tutorial_port, pictures, uploads)
        with crowd(settings.app.port, place.frames() / "00.jpg", pages=PAGE_CLIENTS, uploaders=0):
            ours = _upload(settings.app.port, pictures, uploads)
            _fire(settings.cameras["cam1"].plc_port, triggers)
        time.sleep(REST_S)
        after = [resident_mb(running.pid) for running in programs]
    names = ("tutorial service", "app", "line")
    _tabulate(part, dict(zip(names, before, strict=True)), dict(zip(names, after, strict=True)))
    part.facts["uploads by status"] = {"tutorial service": answers, "app": ours}
    part.facts["resident_mb"] = dict(zip(names, (round(mb, 1) for mb in after), strict=True))
    part.tables[-1].note = (
        f"{uploads} uploads of photos of {', '.join(f'{w} x {h}' for w, h in SIZES_PX)} to the "
        f"tutorials' service and as many to the app, 2 at a time; {triggers} triggers at the line, "
        f"{PAGE_CLIENTS} people with the page open. All run side by side. Proportional set size: "
        "what several share is divided among them."
    )


def _tabulate(part: Part, before: dict[str, float], after: dict[str, float]) -> None:
    table = Table("Memory of both programs", ["", "MB when ready", "MB after the same work"])
    table.rows = [[name, f"{before[name]:.0f}", f"{after[name]:.0f}"] for name in before]
    both = [sum(held[name] for name in ("app", "line")) for held in (before, after)]
    table.rows.append(["app and line together", *(f"{mb:.0f}" for mb in both)])
    part.tables.append(table)
    theirs = after["tutorial service"]
    part.check(
        "both together after the same work, against the tutorial service: at most a fifth",
        f"{ratio(both[1], theirs)} of it ({both[1]:.0f} of {theirs:.0f} MB)",
        both[1] <= theirs / 5,
    )


def _picture(folder: Path, width: int, height: int) -> tuple[Path, str]:
    photo = folder / f"{width}.jpg"
    photo.write_bytes(draw_photo(1, width, height))
    return multipart(photo, folder)


def _upload(port: int, pictures: list[tuple[Path, str]], count: int) -> dict[int, int]:
    """So many uploads in turns of the sizes; returns the answers by status."""
    statuses: Counter[int] = Counter()
    turns = 5
    for turn in range(turns * len(pictures)):
        got = hey(
            f"http://127.0.0.1:{port}/predict",
            pictures[turn % len(pictures)],
            clients=2,
            requests=count // turns // len(pictures),
        )
        statuses.update(answer.status for answer in got)
    return dict(statuses)


def _fire(port: int, count: int) -> None:
    plc = Plc(port)
    for n in range(1, count + 1):
        plc.trigger(n)
        time.sleep(0.01)
    plc.close()


def _tutorial(place: Place, data: Path, port: int) -> Running:
    command = [place.baseline_python(), str(SCRIPTS / "benchmarks/baselines/tutorial.py")]
    environ = {"MODEL": str(place.saved_model()), "PORT": str(port), "TF_CPP_MIN_LOG_LEVEL": "3"}
    program = start("tutorial", command, data / "logs" / "tutorial.log", environ)
    wait_until(
        lambda: ask(port, "GET", "/health", timeout_s=1)[0] == 200,
        lambda: program.process.poll() is None,
        f"the tutorial service: {program.last_words()}",
    )
    return program
