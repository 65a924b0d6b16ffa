"""`bench app`: uploads, against the bare loop and three services that people write."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bare import bare_loop
from benchmarks.clients import Answered, ask, hey, hey_open, multipart
from benchmarks.figures import SPREAD_HEADER, Part, Table, ms, percentile, ratio, spread_row
from benchmarks.place import APP_NICENESS, CLIENT_NICENESS, SCRIPTS, Place
from benchmarks.processes import NotReady, Running, all_stopped, niced, resident_mb, start
from edge_app.settings_file import load_settings

DEADLINE_MS = 200.0
CLIENTS = 8
LOADS = (0.5, 1.0, 2.0, 4.0, 10.0)
START_S = 90.0
OURS, TUTORIAL, GUNICORN, FASTAPI, LEAN = (
    "lineside-app",
    "Flask + TF",
    "gunicorn 4 + TF",
    "FastAPI + LiteRT",
    "bare loop in Flask",
)


@dataclass(slots=True)
class Service:
    """One service under test.

    Args:
        name: For tables.
        url: Where it takes pictures.
        program: It.
        start_s: From exec to its first healthy answer.
        rss_mb: Its memory after the load.
        crowd: What 8 clients got.
    """

    name: str
    url: str
    program: Running
    start_s: float
    rss_mb: float = 0.0
    crowd: list[Answered] = field(default_factory=list)
    crowd_s: float = 0.0


class AppPart:
    """Measures the app from a client's side.

    Args:
        place: Where.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._rounds, self._runs = (1, 30) if place.quick else (4, 60)
        self._crowd_s, self._load_s = (2.0, 2.0) if place.quick else (4.0, 6.0)
        self._services: list[Service] = []
        self.part = Part(
            "app",
            "The app: uploads",
            "The same photo of 640 x 480 pixels as a multipart form, sent by `hey`, a compiled "
            "load generator, to services that run side by side on this machine and take turns: "
            "lineside-app; the tutorials' service (Flask's development server, the SavedModel as "
            "it is, Pillow), the same under gunicorn with 4 workers; FastAPI with LiteRT and a "
            "lock; and the bare loop behind one route of Flask and waitress, which judges and "
            "keeps nothing and answers with as many scores as lineside-app: the floor under "
            "whatever is made with these. The model is the same MobileNetV2: float in the "
            "tutorials', int8 in the others. lineside-app also judges, numbers, records and "
            f"archives what it gets, and runs at niceness {APP_NICENESS} as on a device, as do the "
            "bare loops; the others at 0. `hey` stands for other machines and goes first, at "
            f"{CLIENT_NICENESS}: what it measures is the service, not its own waiting, and what it "
            "takes is stated. Each of its clients keeps its connection.",
        )

    def run(self) -> Part:
        """Do it all; who sends is on another machine, which no load on this one holds up."""
        with niced(CLIENT_NICENESS) as allowed:
            self.part.facts["niceness"] = allowed
            return self._run()

    def _run(self) -> Part:
        data = self._place.stocked("app")
        runtime, threads = self._place.choice(data)
        body = multipart(self._place.frames() / "00.jpg", data)
        programs: list[Running] = []
        with all_stopped(programs), ExitStack() as stack:
            bare = stack.enter_context(
                bare_loop(
                    self._place.flatbuffer(),
                    self._place.frames(),
                    runtime,
                    threads,
                    niceness=APP_NICENESS,
                )
            )
            starts = (self._ours, self._tutorial, self._gunicorn, self._fastapi, self._lean)
            for start_one in starts:
                self._services.append(start_one(data, programs))
            for service in self._services:
                first = hey(service.url, body, clients=1, requests=10)
                if not any(answer.status == 200 for answer in first):
                    statuses = sorted({answer.status for answer in first})
                    raise NotReady(f"{service.name} answers a photo with {statuses}")
            for _ in range(self._rounds):
                self._add("bare loop", bare.run(self._runs))
                for service in self._services:
                    got = hey(service.url, body, clients=1, requests=self._runs)
                    self._add(service.name, [answer.ms for answer in got if answer.status == 200])
            self._single()
            for service in self._services * (1 if self._place.quick else 2):
                service.crowd += hey(service.url, body, clients=CLIENTS, seconds=self._crowd_s)
                service.crowd_s += self._crowd_s
                service.rss_mb = resident_mb(service.program.pid)
            self._crowded()
            self._open_loop(body)
        return self.part

    def _add(self, name: str, times: list[float]) -> None:
        self.part.series.setdefault(name, []).extend(times)

    def _single(self) -> None:
        bare = self.part.series["bare loop"]
        table = Table("One client", [*SPREAD_HEADER, "p50 / bare loop"])
        table.rows = [spread_row(name, times, bare) for name, times in self.part.series.items()]
        self.part.tables.append(table)
        self.part.plots.append(("One client", list(self.part.series)))
        ours, base = percentile(self.part.series[OURS], 50), percentile(bare, 50)
        least = ratio(percentile(self.part.series[LEAN], 50), base)
        found = f"{ratio(ours, base)} times ({ms(ours)} against {ms(base)} ms; {LEAN}: {least})"
        self.part.check("p50 at most 1.2 times the bare loop's", found, ours <= 1.2 * base)

    def _crowded(self) -> None:
        table = Table(
            f"{CLIENTS} clients, each with its next picture as soon as it has its answer",
            ["", "answers/s", "p50 ms", "p99 ms", "past 200 ms", "refused", "memory MB", "start s"],
            note="Answers are those with status 200; the times are theirs. Memory after the load, "
            "all processes of a service together (PSS); start from exec to the first healthy "
            "answer.",
        )
        for service in self._services:
            good = [answer.ms for answer in service.crowd if answer.status == 200]
            late = sum(spent > DEADLINE_MS for spent in good) / max(1, len(good))
            refused = 1 - len(good) / max(1, len(service.crowd))
            table.rows.append(
                [
                    service.name,
                    f"{len(good) / service.crowd_s:.0f}",
                    ms(percentile(good, 50)),
                    ms(percentile(good, 99)),
                    f"{late:.1%}",
                    f"{refused:.1%}",
                    f"{service.rss_mb:.0f}",
                    f"{service.start_s:.1f}",
                ]
            )
            self.part.series[f"{service.name}, {CLIENTS} clients"] = good
        self.part.tables.append(table)
        names = [f"{service.name}, {CLIENTS} clients" for service in self._services]
        self.part.plots.append((f"{CLIENTS} clients", names))
        self.part.facts["resident_mb"] = {s.name: round(s.rss_mb, 1) for s in self._services}
        ours, tutorial = self._services[0], self._services[1]
        self.part.check(
            "memory at most a fifth of the tutorial service's",
            f"{ratio(ours.rss_mb, tutorial.rss_mb)} of it ({ours.rss_mb:.0f} MB; with the line "
            "beside it, and no other TensorFlow to share its pages with, see start-up)",
            ours.rss_mb <= tutorial.rss_mb / 5,
        )

    def _open_loop(self, body: tuple[Path, str]) -> None:
        """Requests come when they come, whatever became of those before."""
        ours = self._services[0]
        capacity = max(
            sum(answer.status == 200 for answer in ours.crowd) / ours.crowd_s,
            self._capacity(ours, body),
        )
        table = Table(
            f"Open loop; 1.0 is {capacity:.0f} pictures a second, lineside-app's best with clients "
            "that wait for their answers",
            ["", "load", "sent/s", "answers/s", "of capacity", "p99 ms", "past 200 ms",
             "refused", "refusals p99 ms", "no answer", "generator CPU"],
            note="Past 200 ms is the share of the answers with status 200 that came later than "
            "that after the request was sent. No answer: none within the run, which ends some "
            "requests in mid-air. The generator runs on the same processors; its share of them is "
            "in the last column.",
        )  # fmt: skip
        worst_late, worst_refusal, least_good = 0.0, 0.0, float("inf")
        for load in LOADS:
            row = self._load(ours, body, load, capacity)
            table.rows.append(row.cells())
            worst_late = max(worst_late, row.late)
            if row.refusals_ms:
                worst_refusal = max(worst_refusal, percentile(row.refusals_ms, 99))
            if 1 <= load <= 4:
                least_good = min(least_good, row.good_per_s / capacity)
        for service in self._services[2:4]:
            for load in (1.0, 2.0):
                table.rows.append(self._load(service, body, load, capacity).cells())
                time.sleep(2.0)  # what queued up in it must not be the next row's
        self.part.tables.append(table)
        self.part.facts["capacity_per_s"] = round(capacity, 1)
        part = self.part
        part.check(
            "accepted answers past 200 ms: at most 0.1 %", f"{worst_late:.2%}", worst_late <= 0.001
        )
        found = f"{ms(worst_refusal)} ms at p99"
        part.check("refusals are answered within 20 ms at p99", found, worst_refusal <= 20)
        part.check(
            "goodput at least 0.8 of capacity from 1 to 4 times capacity",
            f"{least_good:.2f} at least",
            least_good >= 0.8,
        )

    def _capacity(self, service: Service, body: tuple[Path, str]) -> float:
        best = 0.0
        for clients in (2, 4):
            got = hey(service.url, body, clients=clients, seconds=self._crowd_s / 2)
            good = sum(answer.status == 200 for answer in got)
            best = max(best, good / (self._crowd_s / 2))
        return best

    def _load(
        self, service: Service, body: tuple[Path, str], load: float, capacity: float
    ) -> LoadRow:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        rate_hz = load * capacity
        got, sent = hey_open(service.url, body, rate_hz=rate_hz, seconds=self._load_s)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        good = [answer.ms for answer in got if answer.status == 200]
        self.part.series[f"{service.name}, load {load:g}"] = good
        return LoadRow(
            service=service.name,
            load=load,
            capacity=capacity,
            sent=sent,
            seconds=self._load_s,
            good_ms=good,
            refusals_ms=[answer.ms for answer in got if answer.status == 503],
            unanswered=max(0, sent - len(got)),
            generator=used_s / self._load_s / (os.cpu_count() or 1),
        )

    def _ours(self, data: Path, programs: list[Running]) -> Service:
        config = self._place.settings(data, ["cam1"])
        port = load_settings(config).app.port
        command = [sys.executable, "-m", "edge_app", "--config", str(config)]
        return self._started(OURS, command, port, {}, data=data, programs=programs)

    def _tutorial(self, data: Path, programs: list[Running]) -> Service:
        port = self._place.port()
        command = [self._place.baseline_python(), str(SCRIPTS / "benchmarks/baselines/tutorial.py")]
        environ = {"MODEL": str(self._place.saved_model()), "PORT": str(port)}
        return self._started(TUTORIAL, command, port, environ, data=data, programs=programs)

    def _gunicorn(self, data: Path, programs: list[Running]) -> Service:
        port = self._place.port()
        folder = SCRIPTS / "benchmarks" / "baselines"
        command = [self._place.baseline_python(), "-m", "gunicorn", "-w", "4", "--timeout", "120"]
        command += ["-b", f"127.0.0.1:{port}", "--chdir", str(folder), "tutorial:app"]
        environ = {"MODEL": str(self._place.saved_model())}
        return self._started(GUNICORN, command, port, environ, data=data, programs=programs)

    def _fastapi(self, data: Path, programs: list[Running]) -> Service:
        return self._litert(FASTAPI, "fastapi_litert.py", data, programs)

    def _lean(self, data: Path, programs: list[Running]) -> Service:
        return self._litert(LEAN, "lean_flask.py", data, programs)

    def _litert(self, name: str, script: str, data: Path, programs: list[Running]) -> Service:
        """A baseline of a few lines around LiteRT."""
        port = self._place.port()
        command = [self._place.baseline_python(), str(SCRIPTS / "benchmarks/baselines" / script)]
        _, threads = self._place.choice(data)
        environ = {
            "MODEL": str(self._place.flatbuffer()),
            "PORT": str(port),
            "THREADS": str(threads),
        }
        return self._started(name, command, port, environ, data=data, programs=programs)

    def _started(
        self,
        name: str,
        command: list[str],
        port: int,
        environ: dict[str, str],
        *,
        data: Path,
        programs: list[Running],
    ) -> Service:
        log = data / "logs" / f"{name.replace(' ', '-')}.log"
        environ = environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        began = time.monotonic()
        niceness = APP_NICENESS if name in (OURS, LEAN) else 0
        program = start(name, command, log, environ, niceness)
        programs.append(program)
        wait_until(
            lambda: ask(port, "GET", "/health", timeout_s=1)[0] == 200,
            lambda: program.process.poll() is None,
            f"{name}: {program.last_words()}",
        )
        url = f"http://127.0.0.1:{port}/predict"
        return Service(name, url, program, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class LoadRow:
    """What came of one load; `late` and `good_per_s` decide."""

    service: str
    load: float
    capacity: float
    sent: int
    seconds: float
    good_ms: list[float]
    refusals_ms: list[float]
    unanswered: int
    generator: float

    @property
    def late(self) -> float:
        """Share of the answers that came past the deadline."""
        return sum(spent > DEADLINE_MS for spent in self.good_ms) / max(1, len(self.good_ms))

    @property
    def good_per_s(self) -> float:
        """Answers in time, a second."""
        return sum(spent <= DEADLINE_MS for spent in self.good_ms) / self.seconds

    def cells(self) -> list[object]:
        """The table's row."""
        return [
            self.service,
            f"{self.load:g}",
            f"{self.sent / self.seconds:.0f}",
            f"{len(self.good_ms) / self.seconds:.0f}",
            f"{self.good_per_s / self.capacity:.2f}",
            ms(percentile(self.good_ms, 99)),
            f"{self.late:.2%}",
            len(self.refusals_ms),
            ms(percentile(self.refusals_ms, 99)),
            self.unanswered,
            f"{self.generator:.0%}",
        ]


def wait_until(ready: Callable[[], bool], alive: Callable[[], bool], what: str) -> None:
    """Ask until it is ready.

    Raises:
        NotReady: It ended, or took too long.
    """
    until = time.monotonic() + START_S
    while not ready():
        if not alive() or time.monotonic() > until:
            raise NotReady(what)
        time.sleep(0.02)


def run(place: Place) -> Part:
    """Measure the app."""
    return AppPart(place).run()
