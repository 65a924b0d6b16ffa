"""`lineside-convert`: a model and pictures in, one proved model file out."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from convert import errors
from convert.console import Console
from convert.conversion import Conversion, Outcome, require_passed
from convert.errors import ConvertError, Refused
from convert.options import parser
from convert.outcome import bundle_of, figures, summary, warnings_of
from convert.report import write_report
from convert.workbench import Workbench
from edge_app.inference.bundle import write_bundle


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert; returns the exit status (see `lineside-convert --help`)."""
    options = parser().parse_args(arguments)
    console = Console(quiet=options.quiet)
    try:
        _convert(options, console)
    except ConvertError as error:
        print(f"lineside-convert: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("\nlineside-convert: interrupted; nothing was written", file=sys.stderr)
        return errors.INTERRUPTED
    # The edge of the program: whatever was not foreseen becomes a sentence, and a log entry.
    except Exception as error:  # noqa: BLE001
        log = log_of(options)
        with log.open("a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        print(f"lineside-convert: {errors.one_line(error)} (see {log})", file=sys.stderr)
        return errors.CANNOT_CONVERT
    return errors.OK


def log_of(options: argparse.Namespace) -> Path:
    """Where TensorFlow's own words go."""
    log: Path = options.log or options.output.with_suffix(".log")
    return log


def _convert(options: argparse.Namespace, console: Console) -> None:
    output: Path = options.output
    if output.suffix != ".tflite":
        raise Refused(f"expected an output that ends in .tflite, got {output}")
    for path in (output, options.report, options.log):
        if path is not None:
            _check_folder(path.resolve().parent)
    with Workbench(log_of(options), console) as bench:
        outcome = Conversion(options, console, bench).perform()
    with _uninterrupted():
        told = _write(options, console, bench, outcome)
        if told:
            print(told)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C comes too late: whoever is told "nothing was written" must be able to believe it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that takes no file: better now than after the conversion."""
    if not folder.is_dir():
        raise Refused(f"there is no folder {folder} to write to")
    try:
        # Modes don't tell it: a folder may lie on a disk that is mounted read-only.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Refused(f"nothing can be written to {folder}: {error.strerror}") from error


def _write(
    options: argparse.Namespace, console: Console, bench: Workbench, outcome: Outcome
) -> str:
    """Write what passed, and the report in any case; returns what to print."""
    bundle = None
    if outcome.chosen is not None:
        for sentence in warnings_of(outcome, outcome.chosen):
            console.warn(sentence)
        bundle = bundle_of(outcome, outcome.chosen, bench)
        write_bundle(options.output, bundle)
    size = options.output.stat().st_size if bundle else 0
    document = figures(outcome, bundle, size, console)
    if options.report is not None:
        write_report(options.report, outcome, document)
        console.say(f"report: {options.report}")
    if options.json:
        print(json.dumps(document, indent=1, ensure_ascii=False))
    require_passed(outcome)
    return "" if options.json else summary(document, str(options.output))


if __name__ == "__main__":
    sys.exit(main())
