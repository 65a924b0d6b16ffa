"""`bench swap`: new versions of the model under a steady stream of triggers."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.clients import Plc
from benchmarks.figures import SPREAD_HEADER, Part, Table, ms, percentile, ratio, spread_row
from benchmarks.place import APP_NICENESS, MODEL, PLC_REALTIME, Place
from benchmarks.processes import Running, all_stopped, first
from edge_app.inference.guess import Told
from edge_app.inference.judge import Code
from edge_app.lines import LineDown, Lines
from edge_app.models import ModelStore, StoreError
from edge_app.settings_file import load_settings

PERIOD_S = 0.025
SWAP_S = 30.0


@dataclass(slots=True)
class Stream:
    """Triggers at a steady pace in a thread of their own, and what came of them."""

    port: int
    times: list[float] = field(default_factory=list)
    refused: int = 0
    unanswered: int = 0
    undecided: int = 0
    fired: int = 0

    @contextmanager
    def going(self) -> Iterator[None]:
        """Fire while the body runs."""
        stopping = threading.Event()
        thread = threading.Thread(target=self._fire, args=(stopping,))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def _fire(self, stopping: threading.Event) -> None:
        with first(PLC_REALTIME):
            self._fire_until(stopping)

    def _fire_until(self, stopping: threading.Event) -> None:
        plc = Plc(self.port)
        due = time.perf_counter()
        while not stopping.is_set():
            due = max(due + PERIOD_S, time.perf_counter() - PERIOD_S)
            time.sleep(max(0.0, due - time.perf_counter()))
            self.fired += 1
            n = self.fired % 65_535 + 1
            try:
                record, spent_ms = plc.trigger(n)
            except (OSError, ValueError):
                self.unanswered += 1
                continue
            self.times.append(spent_ms)
            self.refused += record.code in (Code.BUSY, Code.JOB_LOADING, Code.STARTING)
            self.undecided += record.code == Code.DEADLINE
        plc.close()


def run(place: Place) -> Part:
    """Swap between two versions while a PLC fires."""
    turns, swaps, seconds = (1, 5, 4.0) if place.quick else (5, 40, 15.0)
    part = Part(
        "swap",
        "Swapping the model under load",
        f"A PLC fires every {PERIOD_S * 1000:.0f} ms. Versions 1 and 2 are activated in turn, "
        f"{turns * swaps} times, by a process of the app's priority: each proves itself in a child "
        "process, the line loads it beside its work and switches between two frames. Steady "
        f"state is the same stream without swaps; the two take turns, {turns} times. The PLC is "
        f"at real-time priority {PLC_REALTIME}, for it is another machine. It waits for each "
        "answer, so a late one delays the next trigger; none is left out.",
    )
    data = place.stocked("swap")
    store = ModelStore(data / "models")
    labels = tuple(f"kind {number}" for number in range(1000))
    told = Told() if place.model else Told(labels=labels, good=labels[:1])
    second = store.add(place.flatbuffer(), MODEL, told)
    if second.version == 1:
        second = store.add_content(second.path.read_bytes() + b"", MODEL)
    store.activate(MODEL, second.version)
    config = place.settings(data, ["cam1"])
    settings = load_settings(config)
    steady = Stream(settings.cameras["cam1"].plc_port)
    swapping = Stream(settings.cameras["cam1"].plc_port)
    programs: list[Running] = []
    took: list[float] = []
    with all_stopped(programs), _app_process() as app:
        programs.append(place.start_line(config, "cam1"))
        for _ in range(turns):
            with steady.going():
                time.sleep(seconds)
            with swapping.going():
                took += app.submit(_swap, config, swaps, sorted({1, second.version})).result()
    _tabulate(part, steady, swapping, took, turns * swaps)
    return part


def _app_process() -> ProcessPoolExecutor:
    """A process of the app's priority: there it is the app that activates a version."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, os.nice, (APP_NICENESS,))


def _swap(config: Path, swaps: int, versions: list[int]) -> list[float]:
    """Milliseconds from activation to the line running it, for each swap that came about."""
    settings = load_settings(config)
    store = ModelStore(settings.data_dir / "models")
    lines = Lines(settings.socket_dir, ["cam1"])
    took = []
    for number in range(swaps):
        version = versions[number % len(versions)]
        began = time.monotonic()
        try:
            store.activate(MODEL, version, measure=False)
        except StoreError as error:
            # A starved machine: the version did not prove itself in time, the old one runs on.
            print(f"bench: swap {number + 1} was refused: {error}", file=sys.stderr)
            continue
        lines.ask("cam1", "POST", "/reload", timeout_s=5)
        while time.monotonic() - began < SWAP_S:
            try:
                running = lines.ask("cam1", "GET", "/status", timeout_s=5).json()["model"]
            except LineDown:
                continue
            if running == f"{MODEL}/{version}":
                took.append((time.monotonic() - began) * 1000)
                break
            time.sleep(0.02)
    return took


def _tabulate(part: Part, steady: Stream, swapping: Stream, took: list[float], swaps: int) -> None:
    part.series = {"steady": steady.times, "during swaps": swapping.times, "swap": took}
    table = Table("Trigger to answer", [*SPREAD_HEADER, "p50 / steady"])
    table.rows = [
        spread_row("steady", steady.times, steady.times),
        spread_row("during swaps", swapping.times, steady.times),
    ]
    table.note = (
        f"{len(took)} of {swaps} swaps came about, from activation to the line running it in "
        f"{ms(percentile(took, 50))} ms at the median, {ms(percentile(took, 100))} ms at most."
    )
    part.tables.append(table)
    part.plots.append(("Trigger to answer", ["steady", "during swaps"]))
    missed = swapping.refused + swapping.unanswered
    part.check(
        "no trigger is missed and none is late",
        f"{missed} missed, {swapping.undecided} late of {swapping.fired}",
        missed == 0 and swapping.undecided == 0 and len(took) == swaps,
    )
    tails = percentile(swapping.times, 99.9), percentile(steady.times, 99.9)
    part.check(
        "p99.9 during swaps at most 1.1 times the steady one",
        f"{ratio(*tails)} times ({ms(tails[0])} against {ms(tails[1])} ms)",
        tails[0] <= 1.1 * tails[1],
    )
