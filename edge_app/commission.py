"""`lineside bench`: the commissioning run of this box with this camera and this model."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_app.box import Heat, read_heat, throttle_count
from edge_app.certificate import certify, write_certificate
from edge_app.inference.judge import Code
from edge_app.lines import LineDown, LineReply, Lines
from edge_app.settings_file import load_settings

READY_S = 60.0
ANSWER_S = 15.0
WARM_UP = 5
FLAT_OUT_SHARE = 0.2
"""Of the time, as quick as the line answers; for the rest at a pace, as a belt has it."""

PACE_SHARE = 0.8
"""Of what it managed flat out, where no pace is asked for."""

HEAT_S = 1.0
BUSY_PAUSE_S = 0.002


class CannotRun(Exception):  # noqa: N818 - read as a sentence where it is raised
    """The line can't be driven; one sentence that says why."""


@dataclass(slots=True)
class Phase:
    """Triggers of one kind, and what came of them.

    Args:
        name: `flat out` or `paced`.
        took_s: How long it was.
        fired: Triggers that the line took.
        busy: Triggers it refused because it was busy, with a part of its own for example;
            fired again at once.
        unanswered: Triggers without any answer.
        ms: Trigger to decision, as the line counts it.
        round_ms: Trigger to answer, as the caller counts it.
        verdicts: How many of each.
        codes: Codes of those without a decision.
    """

    name: str
    took_s: float = 0.0
    fired: int = 0
    busy: int = 0
    unanswered: int = 0
    ms: list[float] = field(default_factory=list)
    round_ms: list[float] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)

    @property
    def misses(self) -> int:
        """Parts without a decision by the deadline."""
        return self.codes[int(Code.DEADLINE)] + self.unanswered

    @property
    def per_minute(self) -> float:
        """Parts a minute that got an answer."""
        return len(self.ms) * 60 / self.took_s if self.took_s else 0.0


Ask = Callable[[str, str, dict[str, str]], LineReply]
"""Asks the line: method, path, fields. Raises `LineDown`."""


class Commissioning:
    """Drives one line for a while. Its shots are test shots: recorded, not counted.

    Args:
        ask: The line.
        heat: Looks at the sensors; a seam for tests.
        say: Where progress goes.
    """

    def __init__(
        self,
        ask: Ask,
        heat: Callable[[], Heat] = read_heat,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._ask = ask
        self._heat = heat
        self._say = say
        self._heat_due = 0.0
        self.heats: list[Heat] = []
        self.first_id = 0

    def run(self, seconds: float, per_minute: float = 0.0) -> tuple[Phase, Phase]:
        """Flat out first, then at a pace.

        Args:
            seconds: For both together.
            per_minute: Parts a minute of the second phase; 0 for a share of the first's.

        Raises:
            CannotRun: The line gives no answers.
        """
        for _ in range(WARM_UP):
            self._shoot(Phase("warm-up"))
        flat_out = self._drive("flat out", seconds * FLAT_OUT_SHARE, 0.0)
        if not flat_out.ms:
            codes = ", ".join(f"{code} ({count})" for code, count in flat_out.codes.items())
            raise CannotRun(f"the line gave no answer to any trigger; codes: {codes or 'none'}")
        pace = per_minute or flat_out.per_minute * PACE_SHARE
        paced = self._drive("paced", seconds * (1 - FLAT_OUT_SHARE), 60 / pace)
        return flat_out, paced

    def _drive(self, name: str, seconds: float, period_s: float) -> Phase:
        rate = f"{60 / period_s:.0f} parts a minute" if period_s else "as quick as it answers"
        self._say(f"{name}: {rate}, {seconds:.0f} s")
        phase = Phase(name)
        began = time.monotonic()
        due = began
        while (now := time.monotonic()) < began + seconds:
            self._look(now)
            if period_s:
                # A belt does not wait; what could not be fired in its period is not made up for.
                due = max(due + period_s, now - period_s)
                time.sleep(max(0.0, due - now))
            self._shoot(phase)
        phase.took_s = time.monotonic() - began
        return phase

    def _shoot(self, phase: Phase) -> None:
        fields = {"test": "1", "part": f"bench-{phase.fired + 1}"}
        began = time.monotonic()
        try:
            reply = self._ask("POST", "/trigger", fields)
        except LineDown:
            phase.fired += 1
            phase.unanswered += 1
            return
        spent_ms = (time.monotonic() - began) * 1000
        document = reply.json()
        if reply.status == 409:
            self._refused(phase, document)
            return
        if reply.status != 200:
            raise CannotRun(f"the line refuses test shots: {document}")
        self.first_id = self.first_id or int(document["id"])
        phase.fired += 1
        phase.ms.append(float(document["ms"]))
        phase.round_ms.append(spent_ms)
        phase.verdicts[str(document["verdict"])] += 1
        if document["verdict"] == "NONE":
            phase.codes[int(document["code"])] += 1

    def _refused(self, phase: Phase, document: dict[str, Any]) -> None:
        if document["code"] != int(Code.BUSY):
            raise CannotRun(f"the line takes no triggers: {document['reason']}")
        phase.busy += 1
        time.sleep(BUSY_PAUSE_S)

    def _look(self, now: float) -> None:
        if now >= self._heat_due:
            self.heats.append(self._heat())
            self._heat_due = now + HEAT_S


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Mount `bench` on the `lineside` command; it sets `run`."""
    bench = commands.add_parser(
        "bench",
        help="the commissioning run: drive this line for some minutes, issue a certificate",
        description="Drives a line with test shots (recorded, not counted) through its control "
        "socket and writes a certificate: HTML for people, JSON for programs. A running line is "
        "used as it is; otherwise one is started for the run. The exit status is 0 only if every "
        "part was answered by its deadline.",
    )
    bench.add_argument("--config", type=Path, help="the settings file (TOML)")
    bench.add_argument("--data", type=Path, help="the data folder, e.g. what `lineside up` made")
    bench.add_argument("--camera", help="which line; by default the first")
    bench.add_argument("--minutes", type=float, default=5.0, help="how long (5)")
    bench.add_argument("--parts-per-minute", type=float, default=0.0, help="the belt's pace")
    bench.add_argument("--out", type=Path, help="folder of the certificate (DATA/certificates)")
    bench.set_defaults(run=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    try:
        return _certified(arguments)
    except CannotRun as error:
        sys.stderr.write(f"lineside: {error}\n")
        return 2


def _certified(arguments: argparse.Namespace) -> int:
    config, environ = arguments.config, dict(os.environ)
    if arguments.data is not None:
        # As `lineside up` does: the folder is told, its settings file does not say it.
        environ["LINESIDE_DATA__DIR"] = str(arguments.data.resolve())
        config = config or arguments.data / "lineside.toml"
    settings = load_settings(config, environ)
    names = list(settings.cameras)
    name = arguments.camera or (names[0] if names else "")
    settings.camera(name)
    if not 0 < arguments.minutes <= 24 * 60 or arguments.parts_per_minute < 0:
        raise CannotRun("expected up to 1440 minutes and a pace above 0")
    lines = Lines(settings.socket_dir, [name])

    def ask(method: str, path: str, fields: dict[str, str]) -> LineReply:
        return lines.ask(name, method, path, fields, timeout_s=ANSWER_S)

    with _line(lines, name, config, environ):
        status = ask("GET", "/status", {}).json()
        throttles = throttle_count()
        commissioning = Commissioning(ask, say=_say)
        phases = commissioning.run(arguments.minutes * 60, arguments.parts_per_minute)
        throttled = None if throttles is None else (throttle_count() or 0) - throttles
    document = certify(
        settings=settings,
        config=config,
        camera=name,
        status=status,
        phases=phases,
        heats=commissioning.heats,
        throttled=throttled,
        first_id=commissioning.first_id,
    )
    page = write_certificate(arguments.out or settings.data_dir / "certificates", document)
    _say(f"{document['outcome']['sentence']}\n{page}")
    return 0 if document["outcome"]["passed"] else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _line(lines: Lines, name: str, config: Path | None, environ: dict[str, str]) -> Iterator[None]:
    """The running line, or one that is started for the while."""
    if _is_up(lines, name):
        _say(f"line {name} runs already and is used as it is; let no product pass meanwhile")
        yield
        return
    command = [sys.executable, "-m", "camera", name, *(["--config", str(config)] if config else [])]
    process = subprocess.Popen(command, env=environ)
    try:
        _until_ready(lines, name, process)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_up(lines: Lines, name: str) -> bool:
    try:
        lines.ask(name, "GET", "/status")
    except LineDown:
        return False
    return True


def _until_ready(lines: Lines, name: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        with contextlib.suppress(LineDown, ValueError):
            if lines.ask(name, "GET", "/status").json()["ready"]:
                return
        if process.poll() is not None:
            raise CannotRun(f"line {name} did not start; it said why above")
        time.sleep(0.05)
    raise CannotRun(f"line {name} was not ready after {READY_S:.0f} s")
