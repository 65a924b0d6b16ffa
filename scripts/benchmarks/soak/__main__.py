"""`scripts/soak`: run everything at once for a while, break things, check invariants."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.__main__ import version_of_tree
from benchmarks.machine import describe_machine
from benchmarks.place import ROOT, Missing, Place
from benchmarks.soak import report
from benchmarks.soak.actors import (
    ModbusActor,
    PlcActor,
    UploadActor,
    look_at_page,
    start_threads,
)
from benchmarks.soak.faults import Faults
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.stage import Stage, set_stage
from benchmarks.soak.watch import Watch, settle_accounts, stop_all
from edge_app.lines import LineDown, Lines

READY_S = 60.0
PAGE_CLIENTS, UPLOADERS = 3, 2
SAY_S = 30.0


def main(argv: list[str] | None = None) -> int:
    """Soak; 0 if no invariant broke, 1 if one did, 2 if it could not be run."""
    arguments = _arguments(argv)
    minutes = arguments.minutes or (arguments.hours or 1.0) * 60
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    place = Place(
        folder=arguments.folder.resolve(),
        venv=ROOT / ".venv-bench",
        model=None,
        first_port=arguments.first_port,
    )
    try:
        place.compile()
        stage = set_stage(place, want_small_disk=not arguments.no_small_disk)
    except Missing as error:
        _say(str(error))
        return 2
    ledger = Ledger()
    watch = Watch(stage, ledger)
    try:
        _play(stage, ledger, watch, minutes * 60, random.Random(seed))  # noqa: S311 - no secret
        settle_accounts(stage, ledger)
        watch.judge_growth()
        meta = _meta(stage, minutes, seed)
    except Missing as error:
        _say(str(error))
        return 2
    finally:
        if stage.up is not None:
            stage.up.stop()
        stage.strike()
    page = report.write(arguments.out, report.build(ledger, watch, meta))
    for words in ledger.words[:20]:
        _say(words)
    _say(f"{'no invariant broke' if ledger.whole else 'INVARIANTS BROKE'}; {page}")
    return 0 if ledger.whole else 1


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/soak", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--hours", type=float, help="how long (1)")
    length.add_argument("--minutes", type=float, help="or in minutes")
    parser.add_argument("--seed", type=int, help="the same faults again, as far as time allows")
    parser.add_argument("--folder", type=Path, default=ROOT / ".soak", help="scratch")
    parser.add_argument("--out", type=Path, default=ROOT / ".soak" / "report", help="the report")
    parser.add_argument("--first-port", type=int, default=18400, help="ports from here on")
    parser.add_argument("--no-small-disk", action="store_true", help="mount nothing, even as root")
    return parser.parse_args(argv)


def _play(
    stage: Stage,
    ledger: Ledger,
    watch: Watch,
    seconds: float,
    rng: random.Random,
) -> None:
    stage.show(min(stage.truth))
    stage.raise_curtain()
    _until_ready(stage)
    ledger.began = time.monotonic()
    seeds = [random.Random(rng.random()) for _ in range(3 + PAGE_CLIENTS + UPLOADERS)]  # noqa: S311 - no secret
    faults = Faults(stage, ledger, seeds.pop(), seconds)
    works: list[Callable[[], None]] = [
        PlcActor(stage, ledger, seeds.pop()).run,
        ModbusActor(stage, ledger).run,
    ]
    works += [UploadActor(stage, ledger, seeds.pop()).run for _ in range(UPLOADERS)]
    works += [partial(look_at_page, stage, ledger, seeds.pop()) for _ in range(PAGE_CLIENTS)]
    threads = start_threads(*works, faults.run, watch.run)
    until = time.monotonic() + seconds
    while (left_s := until - time.monotonic()) > 0:
        time.sleep(min(SAY_S, left_s))
        answers, broken = len(ledger.answers), sum(ledger.broken.values())
        _say(f"{ledger.at_s():.0f} s: {answers} parts answered, {broken} violations")
    stage.stopping.set()
    for thread in threads:
        thread.join(30)
    # What is in work is finished and committed before the programs are told to end.
    time.sleep(1.0)
    stop_all(stage, ledger)


def _until_ready(stage: Stage) -> None:
    lines = Lines(stage.settings.socket_dir, ["cam1", "cam2"])
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if stage.up is not None and stage.up.process.poll() is not None:
            raise Missing(f"lineside up ended: {stage.up.last_words()}")
        try:
            if all(lines.ask(n, "GET", "/status").json()["ready"] is not None for n in lines.names):
                time.sleep(1.0)
                return
        except (LineDown, ValueError):
            time.sleep(0.1)
    raise Missing("lineside up was not ready")


def _meta(stage: Stage, minutes: float, seed: int) -> dict[str, Any]:
    disk = "The data folder was a small disk that was filled now and then."
    if not stage.small_disk:
        why = "no right to mount one" if os.geteuid() else "not wanted, or refused"
        disk = f"The disk was never filled ({why})."
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "minutes": minutes,
        "seed": seed,
        "version": version_of_tree(),
        "machine": describe_machine(),
        "model": stage.parts.parent.name,
        "parts": len(stage.truth),
        "disk": disk,
    }


def _say(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
