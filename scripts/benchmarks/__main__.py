"""`scripts/bench PART...`: measure, keep the samples, write docs/performance.md."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.figures import Part
from benchmarks.machine import describe_machine, listen
from benchmarks.page import PARTS, keep, warnings_of, write_page
from benchmarks.place import ROOT, Missing, Place
from benchmarks.processes import NotReady


def main(argv: list[str] | None = None) -> int:
    """Run parts; 1 if one of them could not be run, whatever the figures are."""
    arguments = _arguments(argv)
    place = Place(
        folder=arguments.folder.resolve(),
        venv=arguments.venv.resolve(),
        quick=arguments.quick,
        model=arguments.model,
        first_port=arguments.first_port,
    )
    wanted = PARTS if "all" in arguments.parts else tuple(dict.fromkeys(arguments.parts))
    failed = []
    try:
        # Whatever has to be installed or made first is no part of a measurement.
        place.compile()
        place.baseline_python()
        place.flatbuffer()
        for name in wanted:
            _say(f"{name} ...")
            try:
                _run(name, place, arguments.out)
            except (Missing, NotReady) as error:
                _say(f"{name} could not be run: {error}")
                failed.append(name)
            # The loop's edge: one part's trouble must not cost the others' figures.
            except Exception:  # noqa: BLE001 - whatever it is, it is shown whole
                _say(f"{name} could not be run:\n{traceback.format_exc()}")
                failed.append(name)
    except Missing as error:
        _say(str(error))
        return 1
    finally:
        write_page(arguments.out, arguments.out.with_suffix(".md"))
    _say(f"{arguments.out.with_suffix('.md')} is written")
    return 1 if failed else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/bench", description=__doc__)
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all"], metavar="PART")
    parser.add_argument("--quick", action="store_true", help="cut short, to see that it runs")
    parser.add_argument("--model", type=Path, help="a .tflite file in place of the bench's own")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs" / "performance", help="where results go"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".bench", help="scratch (on the disk to measure)"
    )
    parser.add_argument(
        "--venv",
        type=Path,
        default=Path(os.environ.get("LINESIDE_BENCH_VENV", ROOT / ".venv-bench")),
        help="the baselines' environment, made on demand",
    )
    parser.add_argument("--first-port", type=int, default=18300, help="ports from here on are used")
    return parser.parse_args(argv)


def _run(name: str, place: Place, out: Path) -> None:
    module = importlib.import_module(f"benchmarks.part_{name}")
    before = listen()
    began = time.monotonic()
    part: Part = module.run(place)
    seconds = time.monotonic() - began
    # What the part itself set going must have come to rest.
    time.sleep(0.5)
    warnings = warnings_of(before, listen())
    meta: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "seconds": round(seconds, 1),
        "quick": place.quick,
        "version": version_of_tree(),
        "machine": describe_machine(),
        "quiet_before": before.to_json(),
        "warnings": warnings,
    }
    keep(out, part, meta)
    for check in part.checks:
        mark = {True: "holds ", False: "MISSED", None: "-     "}[check.holds]
        _say(f"  {mark} {check.claim}: {check.found}")
    for warning in warnings:
        _say(f"  warning: {warning}")
    _say(f"  {name} took {seconds:.0f} s")


def version_of_tree() -> str:
    """The commit that is measured."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
