"""What the person at the terminal sees while it works: steps, one bar, warnings."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from convert.child import Progress

BAR_WIDTH = 28
REDRAW_S = 0.1


class Console:
    """Says what happens on standard error; standard output is for the outcome.

    Args:
        quiet: Say warnings only.
        stream: Where to; bars are drawn only on a terminal.

    `warnings` and `steps`, what was done and its seconds, are kept for the report.
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._bars = self._stream.isatty() and not quiet
        self.warnings: list[str] = []
        self.steps: list[tuple[str, float]] = []

    def say(self, sentence: str) -> None:
        """A fact on its own line."""
        if not self._quiet:
            print(sentence, file=self._stream, flush=True)

    def warn(self, sentence: str) -> None:
        """Something doubtful, said once; kept for the summary and the report."""
        if sentence in self.warnings:
            return
        self.warnings.append(sentence)
        print(f"warning: {sentence}", file=self._stream, flush=True)

    def left_out(self, skipped: Sequence[str], most: int = 5) -> None:
        """Name the first files that could not be read."""
        for sentence in skipped[:most]:
            self.warn(f"left out {sentence}")

    @contextmanager
    def step(self, name: str) -> Iterator[Progress]:
        """One piece of long work: a bar while it runs, its seconds when it is done."""
        begun = drawn = time.monotonic()

        def progress(done: int, total: int) -> None:
            nonlocal drawn
            now = time.monotonic()
            if self._bars and (now - drawn > REDRAW_S or done == total):
                drawn = now
                filled = BAR_WIDTH * done // max(1, total)
                bar = "█" * filled + "·" * (BAR_WIDTH - filled)
                print(f"\r\033[K{name:<34} {bar} {done}/{total}", end="", file=self._stream)
                self._stream.flush()

        if self._bars:
            print(f"{name:<34} …", end="", file=self._stream, flush=True)
        try:
            yield progress
        finally:
            if self._bars:
                print("\r\033[K", end="", file=self._stream, flush=True)
        seconds = time.monotonic() - begun
        self.steps.append((name, seconds))
        self.say(f"{name:<34} {seconds:6.1f} s")
