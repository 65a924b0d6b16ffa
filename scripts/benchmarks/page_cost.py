"""`scripts/measure-page`: what open pages cost the app and the line, and what a view weighs.

The demo's model runs on a line that a PLC fires ten times a second: first with nobody looking,
then with pages open, then with nobody again, so that a drift of the machine shows. A few pages
are Chromium's own, at the lowest priority, for a browser on the device's own processors is not
what is asked; the others ask for the same from a process of their own. The PLC goes before all of
them: it is another machine, and what it waits for a processor here is not the line's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.clients import Plc
from benchmarks.figures import SPREAD_HEADER, Table, spread_row
from benchmarks.machine import listen
from benchmarks.page import markdown
from benchmarks.place import DEMO_MODEL, PLC_REALTIME, ROOT, Missing, Place
from benchmarks.processes import Running, all_stopped, cpu_s, family, first, resident_mb
from benchmarks.windows import SHOWN, Visit, browser, opened, visit
from edge_app.settings_file import load_settings

PERIOD_S = 0.1
PARTS = ROOT / "edge_app" / "demo" / "parts"
LIGHTEST = 19


@dataclass(slots=True)
class Stretch:
    """Some minutes of the line, with or without lookers.

    Args:
        name: What it was.
        times_ms: From each trigger to its whole answer.
        unanswered: Triggers without one.
        undecided: Answers without a decision.
        cpu: Processor share of app and line, 1 for a whole core.
        mb: Memory of app and line at the end.
    """

    name: str
    times_ms: list[float] = field(default_factory=list)
    unanswered: int = 0
    undecided: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    mb: dict[str, float] = field(default_factory=dict)


class Watched:
    """A line with its app, and a PLC.

    Args:
        place: Where; its model is the demo's.
    """

    def __init__(self, place: Place, programs: list[Running]) -> None:
        data = place.stocked("page")
        config = place.settings(data, ["cam1"], f"folder:{PARTS}", open_access="all")
        settings = load_settings(config)
        self.programs = {
            "line": place.start_line(config, "cam1"),
            "app": place.start_app(config),
        }
        programs += self.programs.values()
        self.port = settings.app.port
        self._plc = Plc(settings.cameras["cam1"].plc_port)
        self._n = 0

    def stretch(self, name: str, minutes: float) -> Stretch:
        """Fire for some minutes."""
        found = Stretch(name)
        before = {key: cpu_s(program.pid) for key, program in self.programs.items()}
        began = due = time.perf_counter()
        with first(PLC_REALTIME):
            while (due := due + PERIOD_S) < began + minutes * 60:
                time.sleep(max(0.0, due - time.perf_counter()))
                self._fire(found)
        spent_s = time.perf_counter() - began
        for key, program in self.programs.items():
            found.cpu[key] = (cpu_s(program.pid) - before[key]) / spent_s
            found.mb[key] = resident_mb(program.pid)
        return found

    def _fire(self, found: Stretch) -> None:
        self._n = self._n % 65_535 + 1
        try:
            record, spent_ms = self._plc.trigger(self._n, f"P{self._n}")
        except (OSError, ValueError):
            found.unanswered += 1
            return
        found.times_ms.append(spent_ms)
        found.undecided += record.code != 0


@contextmanager
def lookers(port: int, real: int, others: int) -> Iterator[dict[str, Any]]:
    """Pages that are open; gives what became of them at the end."""
    told: dict[str, Any] = {}
    with ExitStack() as stack:
        ours = set(family(os.getpid()))
        chromium = stack.enter_context(browser()) if real else None
        command = [sys.executable, "-m", "benchmarks.viewers", str(port), str(others)]
        crowd = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if chromium is not None:
            told["faults"] = stack.enter_context(opened(chromium, f"http://127.0.0.1:{port}", real))
        for pid in set(family(os.getpid())) - ours:
            os.setpriority(os.PRIO_PROCESS, pid, LIGHTEST)
        time.sleep(3)
        yield told
        told["answers"] = json.loads(crowd.communicate("")[0])


def visits(port: int) -> list[Visit]:
    """First visits to every view."""
    with browser() as chromium:
        return [visit(chromium, f"http://127.0.0.1:{port}", path) for path in SHOWN]


def measured(place: Place, minutes: float, pages: int, real: int) -> list[str]:
    """Do it all; gives lines of Markdown."""
    programs: list[Running] = []
    quiet = listen()
    with all_stopped(programs):
        watched = Watched(place, programs)
        watched.stretch("warm", 0.2)
        stretches = [watched.stretch("nobody looks", minutes / 2)]
        with lookers(watched.port, real, pages - real) as told:
            stretches.append(watched.stretch(f"{pages} pages open", minutes))
        stretches.append(watched.stretch("nobody again", minutes / 2))
        weights = visits(watched.port)
    return [
        f"{pages} pages, {real} of them Chromium's own, for {minutes:g} minutes.",
        "",
        *markdown(_spreads(stretches)),
        "",
        f"Answers to the others by status: {told['answers']}.",
        f"Faults in the real pages: {told.get('faults') or 'none'}.",
        "",
        *markdown(_weights(weights)),
        *(f"\nNot quiet before: {warning}." for warning in quiet.warnings()),
    ]


def _spreads(stretches: list[Stretch]) -> Table:
    more = ["no answer", "no decision", "app CPU", "app MB", "line CPU", "line MB"]
    table = Table("", [*SPREAD_HEADER, *more])
    for one in stretches:
        costs = [f"{one.cpu['app']:.1%}", f"{one.mb['app']:.1f}"]
        costs += [f"{one.cpu['line']:.1%}", f"{one.mb['line']:.1f}"]
        table.rows.append(
            [*spread_row(one.name, one.times_ms), one.unanswered, one.undecided, *costs]
        )
    alone = [ms for one in (stretches[0], stretches[-1]) for ms in one.times_ms]
    table.rows.append([*spread_row("nobody, both times", alone), *len(more) * ["-"]])
    return table


def _weights(found: list[Visit]) -> Table:
    table = Table("", ["view", "kB", "pictures kB", "first content ms", "what it is for ms"])
    for one in found:
        figures = [f"{one.kilobytes:.0f}", f"{one.pictures_kilobytes:.0f}"]
        figures += [f"{one.painted_ms:.0f}", f"{one.shown_ms:.0f}"]
        table.rows.append([one.path, *figures])
    return table


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("scripts/measure-page", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="with the pages open")
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--real", type=int, default=4, help="of these in Chromium")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lineside-") as folder:
        place = Place(Path(folder), venv=Path(folder), model=DEMO_MODEL)
        try:
            lines = measured(place, arguments.minutes, arguments.pages, arguments.real)
        except Missing as error:
            sys.exit(f"measure-page: {error}")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
