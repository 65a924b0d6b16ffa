"""Which runtime, with how many threads, runs a model fastest on this device.

Every combination runs the real model in a child process of its own. More threads are
often slower, and the two runtimes differ by up to ten times in either direction, so only
measuring tells.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.inference.acceptance import stand_in
from edge_app.inference.bundle import BundleError, read_bundle
from edge_app.inference.child import QUIET, ChildFailed, answer, ask
from edge_app.inference.interpreter import RUNTIMES, Interpreter, ModelFailed, installed_runtimes

ROUNDS = 3
"""Each combination is measured this often, in turn with the others: a device's speed drifts."""

RUNS, LEAST_S, MOST_S = 60, 0.2, 1.0
"""A round has so many runs and takes so long, whichever is more; but no longer than the last.
Of a model that takes a tenth of a millisecond, 60 runs are over before the processor is awake."""

WALL_S = 60.0
TIE = 1.03
"""Combinations that are at most so many times slower than the fastest count as equal to it."""

HOPELESS = 1.5
"""A combination that is so many times slower than the fastest is not measured again."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How to run a model: a runtime's name (empty: the default) and threads for one run."""

    runtime: str = ""
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One combination and how it did.

    Args:
        runtime: Its name.
        threads: Threads for one run.
        p50_ms: Median of a run.
        p90_ms: What nine of ten runs stay below, in the quickest round; this decides.
        runs: Runs in that round.
        accelerated: Whether XNNPACK took over at least a part of the model.
        problem: Why it can't be used; empty if it can.
    """

    runtime: str
    threads: int
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    runs: int = 0
    accelerated: bool = False
    problem: str = ""

    @property
    def choice(self) -> Choice:
        """This combination."""
        return Choice(self.runtime, self.threads)


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was measured for one model on one device.

    Args:
        device: The device and its runtimes, see `fingerprint`.
        sha256: The model's.
        measured_at: Wall clock, seconds since 1970.
        rows: All combinations, fastest first, those with a problem last.
    """

    device: dict[str, Any]
    sha256: str
    measured_at: float
    rows: tuple[Row, ...]

    def best(self, runtime: str = "", threads: int = 0) -> Choice | None:
        """The combination to use.

        Args:
            runtime: Only this runtime; empty for any.
            threads: Only this number; 0 for any.

        Returns:
            The fastest within the noise: of those at most `TIE` times slower than the
            fastest, the one with the fewest threads, and then the default runtime.
            None if none can be used.
        """
        usable = [
            row
            for row in self.rows
            if not row.problem and runtime in ("", row.runtime) and threads in (0, row.threads)
        ]
        if not usable:
            return None
        limit_ms = TIE * min(row.p90_ms for row in usable)
        equal = [row for row in usable if row.p90_ms <= limit_ms]
        order = list(RUNTIMES)
        return min(equal, key=lambda row: (row.threads, order.index(row.runtime))).choice

    def without(self, choice: Choice, problem: str) -> Tuning:
        """The same table where one combination has a problem."""
        rows = [replace(r, problem=problem) if r.choice == choice else r for r in self.rows]
        return replace(self, rows=_sorted(rows))

    def to_json(self) -> dict[str, Any]:
        """The form kept in `tuning.json` and shown by the API."""
        return asdict(self) | {"rows": [asdict(row) for row in self.rows]}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Tuning:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            rows = tuple(Row(**row) for row in entry["rows"])
            if any(row.runtime not in RUNTIMES for row in rows):
                raise ValueError("it names a runtime that is not known")
            device, sha256 = dict(entry["device"]), str(entry["sha256"])
            return cls(device, sha256, float(entry["measured_at"]), rows)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a table of measurements: {error!r}") from error


def fingerprint() -> dict[str, Any]:
    """What a measurement depends on; where this changed, it is made again."""
    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "cpus": _cpus(),
        "runtimes": installed_runtimes(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    fields = [line.split(":", 1) for line in lines if ":" in line]
    named = {key.strip(): value.strip() for key, value in fields}
    return named.get("model name") or named.get("Model") or named.get("CPU part", "")


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def combinations() -> list[Choice]:
    """Every installed runtime with 1, 2, 4 ... threads up to the processors there are."""
    cpus = _cpus()
    threads = sorted({1, cpus, *(n for n in (2, 4, 8) if n < cpus)})
    return [Choice(runtime, number) for runtime in installed_runtimes() for number in threads]


def tune(
    path: Path,
    choices: Sequence[Choice] | None = None,
    *,
    niceness: int = QUIET,
    watch: Callable[[str], None] = lambda _: None,
) -> Tuning:
    """Measure a model on this device.

    Args:
        path: The model file.
        choices: What to measure; all combinations by default.
        niceness: Priority of the children: the line comes first.
        watch: Is told what goes on, a line for each measurement.

    Raises:
        BundleError: The file can't be read.
    """
    sha256 = read_bundle(path).sha256
    open_choices = list(choices if choices is not None else combinations())
    rows: dict[Choice, Row] = {}
    for number in range(ROUNDS):
        for choice in open_choices:
            reply = _measured(path, choice, niceness)
            rows[choice] = _better(_row(choice, reply), rows.get(choice))
            watch(f"round {number + 1}: {_told(rows[choice])}")
        usable = [row for row in rows.values() if not row.problem]
        fastest_ms = min((row.p90_ms for row in usable), default=0.0)
        open_choices = [row.choice for row in usable if row.p90_ms <= HOPELESS * fastest_ms]
        if len(open_choices) < 2:
            break
    return Tuning(fingerprint(), sha256, time.time(), _sorted(list(rows.values())))


def _measured(path: Path, choice: Choice, niceness: int) -> dict[str, Any]:
    question = {"path": str(path)} | asdict(choice)
    try:
        return ask(__name__, question, wall_s=WALL_S, niceness=niceness)
    except ChildFailed as error:
        return {"problem": str(error), "spent_ms": [], "accelerated": False}


def _better(row: Row, before: Row | None) -> Row:
    """Of two rounds the quicker one: what else went on only ever makes it slower."""
    if before is None or row.problem:
        return row
    return min(row, before, key=lambda round_: round_.p90_ms)


def _row(choice: Choice, reply: dict[str, Any]) -> Row:
    spent_ms = reply["spent_ms"]
    if reply["problem"] or not spent_ms:
        return Row(choice.runtime, choice.threads, problem=reply["problem"] or "no run ended")
    p50_ms, p90_ms = np.percentile(spent_ms, [50, 90])
    return Row(
        choice.runtime,
        choice.threads,
        round(float(p50_ms), 3),
        round(float(p90_ms), 3),
        len(spent_ms),
        bool(reply["accelerated"]),
    )


def _told(row: Row) -> str:
    outcome = row.problem or f"p50 {row.p50_ms:.2f} ms, p90 {row.p90_ms:.2f} ms"
    return f"{row.runtime}, {row.threads} threads: {outcome}"


def _sorted(rows: list[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: (bool(row.problem), row.p90_ms)))


def _measure(question: dict[str, Any]) -> dict[str, Any]:
    """The child's part."""
    spent_ms: list[float] = []
    try:
        flatbuffer = read_bundle(Path(question["path"])).flatbuffer
        model = Interpreter(flatbuffer, question["runtime"], question["threads"])
        tensors = stand_in(model.inputs, "noise")
        # The first runs allocate memory and pack weights.
        for _ in range(3):
            model.invoke(tensors)
        started = began = time.monotonic()
        while began - started < (LEAST_S if len(spent_ms) >= RUNS else MOST_S):
            model.invoke(tensors)
            ended = time.monotonic()
            spent_ms.append((ended - began) * 1000)
            began = ended
    except (BundleError, ModelFailed, ValueError) as error:
        return {"problem": str(error), "spent_ms": [], "accelerated": False}
    except MemoryError:
        problem = "it needs more memory than it may have"
        return {"problem": problem, "spent_ms": [], "accelerated": False}
    return {"problem": "", "spent_ms": spent_ms, "accelerated": model.accelerated}


if __name__ == "__main__":
    answer(_measure)
