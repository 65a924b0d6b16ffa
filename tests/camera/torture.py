"""Torture for one line: coded frames, random stalls, repeated numbers, parallel clients.

    scripts/torture [--triggers 100000]

The model reads each frame's own number and says it in its class and score, so that every
answer can be held against its frame; the ledger of what was fired is held against every
answer that any client got, the records and the counters.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from camera.capture import Capture
from camera.entry import record_expired
from camera.frame import Frame
from camera.line import Line
from camera.loader import LoadedJob
from camera.plc.http import PlcHttp
from camera.plc.record import PlcDecision, PlcRecord
from camera.sources.pattern import draw_number, read_number
from camera.station import Station
from camera.wire import WireServer
from edge_app.inference.bundle import ModelBundle, ModelSpec
from edge_app.inference.engine import Engine
from edge_app.inference.judge import Code, Limits
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import Array, TensorInfo
from edge_app.jobs import Job
from edge_app.records.archive import Archive
from edge_app.records.database import Database
from edge_app.records.ids import Ids, leaser
from edge_app.records.recorder import Recorder

WIDTH, HEIGHT = 64, 16
DEADLINE_MS = 30.0
ROUND_TRIP_MS = 250.0
"""What a busy machine may add to an answer's way; the line's own time is held to the deadline."""

CLASSES = 997
CLIENTS = 4
INPUT = TensorInfo("image", (1, HEIGHT, WIDTH, 3), "float32")
OUTPUT = TensorInfo("scores", (1, CLASSES), "float32")
PACE_S = 0.003
"""About what one part takes: clients that hammer would only be told that the line is busy."""

BAD_EVERY = 5
"""Frames whose number is a multiple of this show a bad part: never to be OK."""


class CodedCamera:
    """Exposes a new number whenever it is asked; sometimes late, sometimes rubbish."""

    on_demand = True

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.number = 0

    def open(self) -> None:
        """Always there."""

    def read(self) -> Frame:
        """The next number, or something that is none."""
        chance = self._dice.random()
        if chance < 0.002:
            time.sleep(DEADLINE_MS * 2 / 1000)
        self.number += 1
        at = time.monotonic()
        if chance > 0.998:
            return Frame(self.number, at, jpeg=b"\xff\xd8 rubbish")
        return Frame(self.number, at, image=draw_number(self.number, WIDTH, HEIGHT))

    def close(self) -> None:
        """Nothing is held."""


class Reader:
    """A model that says the frame's number as its class; stalls and raises at random."""

    runtime = "torture"
    threads = 1
    tensor_bytes = 0
    inputs = (INPUT,)
    outputs = (OUTPUT,)

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.stalls = self.raised = 0
        self.seen: list[int] = []

    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """The class of the frame's number."""
        picture = (tensors["image"][0] * 255).astype(np.uint8)
        if not picture.any():
            return {"scores": np.full((1, CLASSES), 1 / CLASSES, np.float32)}
        chance = self._dice.random()
        if chance < 0.004:
            self.stalls += 1
            time.sleep(DEADLINE_MS * self._dice.uniform(0.5, 4) / 1000)
        if chance > 0.998:
            self.raised += 1
            raise RuntimeError("the model failed")
        number = read_number(picture)
        self.seen.append(number)
        scores = np.zeros((1, CLASSES), np.float32)
        scores[0, label_of(number)] = 1.0
        return {"scores": scores}

    def invoke_rows(self, rows: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """One after the other."""
        return [self.invoke(row) for row in rows]


def label_of(number: int) -> int:
    """Class 0 is bad; the others carry the number."""
    return 0 if number % BAD_EVERY == 0 else 1 + number % (CLASSES - 1)


@dataclass
class Ledger:
    """What clients sent and got.

    Args:
        fired: First answer of each (n, round), by inspection id.
        counts: What happened how often.
        faults: What must never happen, in words.
    """

    answers: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    parts: dict[int, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_ms: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, part: str, record: PlcRecord, spent_ms: float, n: int) -> None:
        """Hold one answer against all others."""
        with self.lock:
            self.counts["answers"] += 1
            self.slowest_ms = max(self.slowest_ms, spent_ms)
            if record.n != n:
                self.fault(f"asked for {n}, answered {record.n}")
            if record.decision is PlcDecision.OK and record.code not in (0, int(Code.STORAGE)):
                self.fault(f"OK with code {record.code}")
            if not record.id:
                self.counts[f"refused {record.code}"] += 1
                if record.decision is not PlcDecision.NONE:
                    self.fault(f"{n} was refused with decision {record.decision}")
                return
            said = (
                record.n,
                record.decision,
                record.class_id,
                record.score,
                record.ms,
                record.code,
            )
            known = self.answers.setdefault(record.id, said)
            if known != said:
                self.fault(f"{record.id} was answered {known} and {said}")
            if self.parts.setdefault(record.id, part) != part:
                self.fault(f"{record.id} was given to {part} and {self.parts[record.id]}")
            if record.ms > DEADLINE_MS:
                self.fault(f"{record.id} took {record.ms} ms by its own account")
            if spent_ms > DEADLINE_MS + ROUND_TRIP_MS:
                self.counts["slow round trips"] += 1

    def fault(self, text: str) -> None:
        """What must never happen."""
        if len(self.faults) < 20:
            self.faults.append(text)


class Bench:
    """A whole line around the coded camera.

    Args:
        folder: Where its records go.
        seed: Makes the accidents.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = folder / "records.db"
        ids = Ids(leaser(self.path))
        self.recorder = Recorder(
            self.path,
            counters=lambda: self.station.counters(),  # noqa: PLW0108 - it is made below
            after_commit=ids.refill,
        )
        self.station = Station(
            new_id=ids.next,
            deadline_ms=DEADLINE_MS,
            replay_window_s=2,
            camera="torture",
            answered=record_expired(self.recorder, "torture"),
            missed=self.recorder.keep_counters,
        )
        self.camera = CodedCamera(random.Random(seed))  # noqa: S311 - dice
        self.reader = Reader(random.Random(seed + 1))  # noqa: S311 - dice
        labels = ("bad", *(f"number{i}" for i in range(1, CLASSES)))
        spec = ModelSpec(
            "reader",
            Task("classification", labels),
            (INPUT,),
            (OUTPUT,),
            Contract(color="BGR", kernel="nearest"),
        )
        engine = Engine(ModelBundle(b"", spec), "torture", load=lambda *_: self.reader)
        loaded = LoadedJob(Job(1, "torture", "reader"), engine, "reader/1", Limits(good=labels[1:]))
        self.line = Line(
            name="torture",
            capture=Capture(lambda: self.camera, "torture"),
            station=self.station,
            recorder=self.recorder,
            archive=Archive(folder / "i", max_bytes=0, min_free_bytes=1 << 60, keep_ok_one_in=0),
            load=lambda _: loaded,
        )
        self.server = WireServer(("127.0.0.1", 0), PlcHttp(self.line), "plc")
        self.port = int(self.server.server_address[1])
        self.thread = threading.Thread(target=self.line.run, daemon=True)

    def start(self) -> None:
        """Run it."""
        self.recorder.start()
        self.line.capture.start()
        self.server.start()
        self.line.load_job(1)
        self.thread.start()
        while self.line.loading:
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop it; all records are on disk then."""
        self.line.stop()
        self.thread.join(10)
        self.server.stop()
        self.line.capture.stop()
        self.recorder.stop(30)


class Plc(threading.Thread):
    """A client that retries, repeats and gives up at random.

    Args:
        bench: The line.
        ledger: Takes its answers.
        numbers: Gives out parts; shared by all clients.
        seed: Makes its habits.
    """

    def __init__(self, bench: Bench, ledger: Ledger, numbers: Any, seed: int) -> None:
        super().__init__(daemon=True)
        self._bench = bench
        self._ledger = ledger
        self._numbers = numbers
        self._dice = random.Random(seed)  # noqa: S311 - dice
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Until there are no parts left."""
        for number in self._numbers:
            n, part = number % 65_535 + 1, f"P{number}"
            for _ in range(1 + (self._dice.random() < 0.1)):
                self._ask(n, part)
            if self._dice.random() < 0.02:
                self._reuse(n, part)
            time.sleep(self._dice.uniform(0, 4 * PACE_S))

    def _ask(self, n: int, part: str) -> None:
        began = time.monotonic()
        record = self._get(f"/plc/trigger?n={n}&part={part}")
        if record is not None:
            self._ledger.note(part, record, (time.monotonic() - began) * 1000, n)

    def _reuse(self, n: int, part: str) -> None:
        """The same number for another part: code 22, or a refusal, never the other's answer."""
        record = self._get(f"/plc/trigger?n={n}&part={part}x")
        if record is not None and record.id and record.decision is not PlcDecision.NOT_YET:
            self._ledger.note(f"{part}x", record, 0.0, n)

    def _get(self, target: str) -> PlcRecord | None:
        if self._connection is None or self._dice.random() < 0.01:
            self._hang_up()
            self._connection = http.client.HTTPConnection("127.0.0.1", self._bench.port, timeout=10)
        try:
            self._connection.request("GET", target)
            if self._dice.random() < 0.005:
                self._hang_up()
                with self._ledger.lock:
                    self._ledger.counts["hung up on"] += 1
                return None
            return PlcRecord.from_line(self._connection.getresponse().read())
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            with self._ledger.lock:
                self._ledger.fault(f"no answer: {error!r}")
            return None

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def check(bench: Bench, ledger: Ledger) -> None:
    """Hold answers, records, counters and frames against each other."""
    database = Database(bench.path)
    try:
        _, life = database.counters("torture", "shift"), database.counters("torture", "life")
        rows: dict[int, Any] = {}
        before: int | None = None
        while page := database.inspections(limit=500, before_id=before):
            # Without the scores of a thousand labels, of which memory has no need.
            rows |= {row.id: replace(row, scores={}) for row in page}
            before = page[-1].id
    finally:
        database.close()
    ledger.counts["records"] = len(rows)
    for inspection_id, (n, decision, class_id, *_rest) in ledger.answers.items():
        row = rows.get(inspection_id)
        if row is None:
            ledger.fault(f"{inspection_id} was answered and not recorded")
            continue
        if decision and PlcDecision.of(row.decision) is not decision:
            ledger.fault(f"{inspection_id}: told {decision!r}, recorded {row.decision}")
        if (row.trigger, row.part) != (n, ledger.parts[inspection_id]):
            ledger.fault(f"{inspection_id} is recorded for {row.part}")
        if decision is PlcDecision.OK and class_id == 0:
            ledger.fault(f"{inspection_id}: a bad part was OK")
    ledger.counts["ok"] = life.ok
    ledger.counts["ng"] = life.ng
    ledger.counts["no decision"] = life.none
    ledger.counts["missed"] = life.missed
    ledger.counts["late, recorded only"] = sum(bool(row.late_decision) for row in rows.values())
    if life.total != len(rows):
        ledger.fault(f"{life.total} counted, {len(rows)} recorded")
    if len(set(bench.reader.seen)) != len(bench.reader.seen):
        ledger.fault("a frame was judged twice")
    judged = [rows[i].label_index for i in sorted(rows) if rows[i].label]
    if judged != [label_of(number) for number in bench.reader.seen]:
        ledger.fault("answers and frames don't belong together")
    ledger.counts["frames judged"] = len(judged)


def torture(triggers: int, seed: int, folder: Path) -> Ledger:
    """Run it; the ledger has the counts and the faults."""
    bench, ledger = Bench(folder, seed), Ledger()
    counter, lock = itertools.count(), threading.Lock()

    def numbers() -> Any:
        while True:
            with lock:
                number = next(counter)
            if number >= triggers:
                return
            yield number

    bench.start()
    clients = [Plc(bench, ledger, numbers(), seed + 10 + i) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    bench.stop()
    ledger.counts["triggers"] = triggers
    ledger.counts["stalls"], ledger.counts["model errors"] = (
        bench.reader.stalls,
        bench.reader.raised,
    )
    check(bench, ledger)
    return ledger


def main() -> int:
    """Print the counts; status 1 if anything happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triggers", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.setswitchinterval(0.0005)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        ledger = torture(arguments.triggers, arguments.seed, Path(folder))
    spent_s = time.monotonic() - began
    for name, count in sorted(ledger.counts.items()):
        sys.stdout.write(f"{count:9d}  {name}\n")
    sys.stdout.write(f"{ledger.slowest_ms:9.1f}  ms, slowest round trip\n{spent_s:9.1f}  s\n")
    for fault in ledger.faults:
        sys.stdout.write(f"FAULT: {fault}\n")
    sys.stdout.write("no fault\n" if not ledger.faults else "")
    return 1 if ledger.faults else 0


if __name__ == "__main__":
    sys.exit(main())
