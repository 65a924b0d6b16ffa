"""`bench line`: from a PLC's trigger to its answer, against the bare loop, quiet and under load."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.awake import Pace, kept_awake
from benchmarks.bare import BareLoop, bare_loop
from benchmarks.clients import Plc
from benchmarks.crowd import Crowd, Tally, crowd
from benchmarks.figures import SPREAD_HEADER, Part, Table, ms, percentile, ratio, spread_row
from benchmarks.place import LINE_NICENESS, LINE_REALTIME, PLC_REALTIME, Place
from benchmarks.processes import Running, all_stopped, cpu_s, first, resident_mb
from edge_app.config import Settings
from edge_app.records.database import Database
from edge_app.settings_file import load_settings

PERIOD_S = 0.030
"""33 parts a second: five times what a 200 ms budget has to carry."""

CAMERA_RATE_HZ = 5.0
PAGE_CLIENTS, UPLOADERS = 20, 2

ASLEEP = ", asleep"
"""Of series that were taken without keeping the processors awake."""
TURNS_ASLEEP = 6

BARE_RUNS, RUNS = 50, 100
"""Of loop and line in one turn: short ones, for a machine's mood changes within seconds."""

SETTLE_S = 1.0
"""From the crowd's start until it is at full strength, and from its end until all is quiet."""


class LinePart:
    """Measures a line from a PLC's side.

    Args:
        place: Where.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._n = 0
        self._unanswered = 0
        self._undecided = 0
        self._ids: dict[str, list[int]] = {}
        self._crowds: list[Crowd] = []
        self._rounds, self._turns = (2, 1) if place.quick else (10, 3)
        self.part = Part(
            "line",
            "The line: trigger to answer",
            "A PLC on one kept HTTP connection fires a trigger every "
            f"{PERIOD_S * 1000:.0f} ms; timed is what the PLC sees, from sending to the last byte "
            "of the reply. The bare loop reads, decodes, resizes and invokes the same frames with "
            "the same runtime and threads, at the same pace. Loop, quiet line and line "
            "under load take turns, the first two of a few seconds: a machine's mood falls on all. "
            f"Loop and line run at real-time priority {LINE_REALTIME} and niceness "
            f"{LINE_NICENESS}, as the line does where its unit starts it, and the PLC before them "
            f"at {PLC_REALTIME}, for it is another machine. Under load, {PAGE_CLIENTS} people have "
            f"the page open and {UPLOADERS} upload photos of 4 MB to the app without pause; they "
            "are a process of their own at niceness 0, the app one at 5 as its unit has it. The "
            "processors are kept awake around each part by programs that go behind everybody "
            "(`SCHED_IDLE`): a line is woken four times on a part's way, and what a wake takes on "
            "a virtual machine changes from run to run; two rows show the same with processors "
            "that sleep.",
        )

    def run(self) -> Part:
        """Do it all; the PLC is a machine of its own, which no load on this one holds up."""
        with first(PLC_REALTIME) as allowed:
            self.part.facts["realtime"] = allowed
            return self._run()

    def _run(self) -> Part:
        data = self._place.stocked("line")
        config = self._place.settings(data, ["cam1"])
        settings = load_settings(config)
        runtime, threads = self._place.choice(data)
        programs: list[Running] = []
        with all_stopped(programs), ExitStack() as stack:
            bare = stack.enter_context(
                bare_loop(
                    self._place.flatbuffer(),
                    self._place.frames(),
                    runtime,
                    threads,
                    niceness=LINE_NICENESS,
                    realtime=LINE_REALTIME,
                )
            )
            programs.append(line := self._place.start_line(config, "cam1"))
            programs.append(app := self._place.start_app(config))
            plc = Plc(settings.cameras["cam1"].plc_port)
            self._take_turns(plc, bare, settings)
            self.part.facts["resident_mb"] = {
                "line": round(resident_mb(line.pid), 1),
                "app": round(resident_mb(app.pid), 1),
            }
            plc.close()
        self.part.facts |= {"runtime": runtime, "threads": threads}
        self._laps(data)
        self._tabulate()
        self._cameras()
        return self.part

    def _take_turns(self, plc: Plc, bare: BareLoop, settings: Settings) -> None:
        self._fire(plc, "warm-up", 20, Pace(None))
        del self.part.series["warm-up"]
        for _ in range(TURNS_ASLEEP):
            self._bare(bare, f"bare{ASLEEP}", RUNS, Pace(None))
            self._fire(plc, f"line{ASLEEP}", RUNS, Pace(None))
        with kept_awake() as pace:
            for _ in range(self._rounds):
                for _ in range(self._turns):
                    self._bare(bare, "bare", BARE_RUNS, pace)
                    self._fire(plc, "line", RUNS, pace)
                with self._crowd(settings):
                    self._fire(plc, "line under load", RUNS * self._turns, pace)
        self._load_table()

    def _bare(self, bare: BareLoop, series: str, runs: int, pace: Pace) -> None:
        self.part.series.setdefault(series, []).extend(bare.run(runs, PERIOD_S, pace))

    @contextmanager
    def _crowd(self, settings: Settings) -> Iterator[None]:
        photo = self._place.large_photo()
        people_there = crowd(settings.app.port, photo, pages=PAGE_CLIENTS, uploaders=UPLOADERS)
        with people_there as people:
            time.sleep(SETTLE_S)
            yield
        self._crowds.append(people)
        time.sleep(SETTLE_S)

    def _fire(self, plc: Plc, series: str, count: int, pace: Pace) -> None:
        times = self.part.series.setdefault(series, [])
        ids = self._ids.setdefault(series, [])
        due = time.perf_counter()
        for _ in range(count):
            due = max(due + PERIOD_S, time.perf_counter() - PERIOD_S)
            pace.wait(due)
            self._n = self._n % 65_535 + 1
            try:
                record, spent_ms = plc.trigger(self._n, f"P{self._n}")
            except (OSError, ValueError):
                self._unanswered += 1
                continue
            times.append(spent_ms)
            ids.append(record.id)
            self._undecided += record.n != self._n or record.code in (20, 23, 30, 40)

    def _tabulate(self) -> None:
        part = self.part
        bare, quiet, loaded = (part.series[n] for n in ("bare", "line", "line under load"))
        dozing = part.series[f"bare{ASLEEP}"]
        table = Table("Trigger to answer", [*SPREAD_HEADER, "p50 / bare"])
        table.rows = [
            spread_row("bare loop", bare, bare),
            spread_row("line, to its decision", part.series["line, to its decision"], bare),
            spread_row("line, to its answer", quiet, bare),
            spread_row("line under load, to its answer", loaded, bare),
            spread_row("bare loop, processors asleep in between", dozing, dozing),
            spread_row("line, to its answer, the same", part.series[f"line{ASLEEP}"], dozing),
        ]
        table.note = (
            f"{self._unanswered} triggers without an answer, {self._undecided} without a decision. "
            "The line does more than the loop: it takes a request, waits for its frame, judges, "
            "and has the record where it outlives the program before it answers; the commit and "
            "its fsync follow."
        )
        part.tables.insert(0, table)
        part.plots.append(("Trigger to answer", ["bare", "line", "line under load"]))
        p50, tail = percentile(quiet, 50), percentile(quiet, 99.9)
        base, tail_loaded = percentile(bare, 50), percentile(loaded, 99.9)
        asleep = ratio(percentile(part.series[f"line{ASLEEP}"], 50), percentile(dozing, 50))
        found = f"{ratio(p50, base)} times ({ms(p50)} against {ms(base)} ms; asleep {asleep})"
        part.check("p50 at most 1.10 times the bare loop's", found, p50 <= 1.10 * base)
        part.check("p99.9 at most p50 + 10 ms", f"p50 + {ms(tail - p50)} ms", tail - p50 <= 10)
        part.check(
            "p99.9 under load at most 1.1 times the quiet one",
            f"{ratio(tail_loaded, tail)} times ({ms(tail_loaded)} against {ms(tail)} ms)",
            tail_loaded <= 1.1 * tail,
        )

    def _load_table(self) -> None:
        pages, uploads = Tally(), Tally()
        for people in self._crowds:
            pages.take_over(people.pages)
            uploads.take_over(people.uploads)
        cores = statistics.fmean(people.cores for people in self._crowds)
        self.part.facts["load"] = {
            "page": pages.statuses,
            "uploads": uploads.statuses,
            "cores": cores,
        }
        table = Table(
            "What the load was, and got",
            ["client", "answers", "p50 ms", "p99 ms", "status (0: none)"],
            note=f"These clients run on the same machine and take {cores:.2f} of its "
            "processors from the line and the app.",
        )
        for name, tally in (
            (f"{PAGE_CLIENTS} page clients", pages),
            (f"{UPLOADERS} uploaders", uploads),
        ):
            times = tally.times_ms
            statuses = ", ".join(f"{s}: {n}" for s, n in sorted(tally.statuses.items()))
            figures = [ms(percentile(times, 50)), ms(percentile(times, 99))]
            table.rows.append([name, len(times), *figures, statuses])
        self.part.tables.append(table)

    def _laps(self, data: Path) -> None:
        """What the records say of each part: when it was decided, and where the time went."""
        database = Database(data / "records.db")
        try:
            quiet = [database.inspection(number) for number in self._ids["line"]]
            loaded = [database.inspection(number) for number in self._ids["line under load"]]
        finally:
            database.close()
        decided = [row for row in quiet if row is not None and row.laps_ms]
        under_load = [row for row in loaded if row is not None and row.laps_ms]
        self.part.series["line, to its decision"] = [row.total_ms for row in decided]
        table = Table(
            "Where the time goes",
            ["lap", "p50 ms", "p99 ms", "p50 ms under load", "p99 ms under load"],
        )
        for lap in dict.fromkeys(lap for row in decided for lap in row.laps_ms):
            figures = [
                ms(percentile([row.laps_ms.get(lap, 0.0) for row in rows], share))
                for rows in (decided, under_load)
                for share in (50, 99)
            ]
            table.rows.append([lap, *figures])
        table.note = (
            "The laps end with the decision; then the record goes into the journal and the answer "
            "on its way."
        )
        self.part.tables.append(table)
        gaps = [abs(row.total_ms - sum(row.laps_ms.values())) for row in (*decided, *under_load)]
        worst = max(gaps, default=float("nan"))
        self.part.check(
            "laps add up to the total within 1 ms", f"{ms(worst)} ms at worst", worst < 1
        )

    def _cameras(self) -> None:
        table = Table(
            f"Several cameras, {CAMERA_RATE_HZ:.0f} parts a second each",
            [
                "cameras",
                "parts",
                "p50 ms",
                "p99 ms",
                "p99.9 ms",
                "CPU s per part",
                "CPU per camera",
            ],
            note="Each camera is a process with its own interpreter; one PLC each, fired evenly.",
        )
        for count in (1, 2) if self._place.quick else (1, 2, 4):
            table.rows.append(self._so_many(count, 4.0 if self._place.quick else 12.0))
        self.part.tables.append(table)

    def _so_many(self, count: int, seconds: float) -> list[object]:
        data = self._place.stocked(f"cameras{count}")
        names = [f"cam{number + 1}" for number in range(count)]
        config = self._place.settings(data, names)
        settings = load_settings(config)
        times: list[float] = []
        programs: list[Running] = []
        with all_stopped(programs):
            programs += [self._place.start_line(config, name) for name in names]
            before = sum(cpu_s(program.pid) for program in programs)
            began = time.monotonic()
            threads = [
                threading.Thread(
                    target=_drive,
                    args=(settings.cameras[name].plc_port, place / count, seconds, times),
                )
                for place, name in enumerate(names)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            used_s = sum(cpu_s(program.pid) for program in programs) - before
            spent_s = time.monotonic() - began
        self.part.series[f"{count} cameras"] = times
        share = used_s / spent_s / count
        figures = [ms(percentile(times, p)) for p in (50, 99, 99.9)]
        return [count, len(times), *figures, f"{used_s / max(1, len(times)):.4f}", f"{share:.0%}"]


def _drive(port: int, phase: float, seconds: float, times: list[float]) -> None:
    """Fire evenly; cameras share the period between them."""
    plc = Plc(port)
    period_s = 1 / CAMERA_RATE_HZ
    began = time.perf_counter()
    due = began + phase * period_s
    n = 0
    while due < began + seconds:
        time.sleep(max(0.0, due - time.perf_counter()))
        n += 1
        try:
            times.append(plc.trigger(n)[1])
        except (OSError, ValueError):
            continue
        finally:
            due += period_s
    plc.close()


def run(place: Place) -> Part:
    """Measure the line."""
    return LinePart(place).run()
