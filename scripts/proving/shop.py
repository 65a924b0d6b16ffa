"""Where the proof works, and `lineside-convert` as a person starts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT.parent / "shared" / "data"
CALM = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
LONGEST_S = 600


@dataclass(frozen=True, slots=True)
class Ended:
    """How a conversion ended.

    Args:
        status: Its exit status; negative for the signal that killed it.
        said: What it wrote to standard error.
        figures: What `--json` printed; empty if it did not come so far.
        output: The model file; may be absent.
    """

    status: int
    said: str
    figures: Mapping[str, Any]
    output: Path

    @property
    def sentence(self) -> str:
        """What it ended with, without the program's name."""
        last = self.said.strip().splitlines()[-1:]
        return last[0].removeprefix("lineside-convert: ") if last else ""

    @property
    def taken(self) -> Mapping[str, Any]:
        """The figures of the model that was written, or of the last that was tried."""
        trials = self.figures["trials"]
        mode = self.figures["mode"]
        return next((t for t in trials if t["passed"] and t["mode"] == mode), trials[-1])

    @property
    def runtimes(self) -> Mapping[str, Any]:
        """That model's figures by runtime."""
        found: Mapping[str, Any] = self.taken["runtimes"]
        return found


@dataclass(frozen=True, slots=True)
class Shop:
    """A scratch folder for the whole proof."""

    folder: Path

    def command(self, name: str, *arguments: object) -> list[str]:
        """The command line of a conversion to `name`."""
        given = [str(argument) for argument in arguments]
        output = str(self.output(name))
        return [sys.executable, "-P", "-m", "convert", "-o", output, "--quiet", "--json", *given]

    def output(self, name: str) -> Path:
        """Where a conversion writes."""
        return self.folder / f"{name}.tflite"

    def convert(self, name: str, *arguments: object) -> Ended:
        """Run `lineside-convert` to its end."""
        output = self.output(name)
        output.unlink(missing_ok=True)
        done = subprocess.run(
            self.command(name, *arguments),
            capture_output=True,
            text=True,
            check=False,
            env=CALM,
            timeout=LONGEST_S,
        )
        figures = json.loads(done.stdout) if done.stdout.strip() else {}
        return Ended(done.returncode, done.stderr, figures, output)

    def make(self, script: str, *arguments: object) -> None:
        """Run one of the scripts that make models, in a process of its own.

        Raises:
            RuntimeError: It failed, with its last words.
        """
        path = Path(__file__).with_name(script)
        given = [str(argument) for argument in arguments]
        done = subprocess.run(
            [sys.executable, str(path), *given],
            capture_output=True,
            text=True,
            check=False,
            env=CALM,
            timeout=LONGEST_S,
        )
        if done.returncode:
            raise RuntimeError(f"{script} failed: {done.stderr.strip()[-600:]}")

    def fresh(self, name: str) -> Path:
        """An empty folder."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path


def share(value: float | None) -> str:
    """A share in percent."""
    return "-" if value is None else f"{value:.1%}"
