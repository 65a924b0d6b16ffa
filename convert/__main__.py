"""`lineside-convert`: a model and pictures in, one proved model file out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from convert import errors
from convert.console import Console
from convert.conversion import Conversion
from convert.errors import ConvertError, Refused
from convert.options import parser
from convert.workbench import Workbench


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert; returns the exit status (see `lineside-convert --help`)."""
    options = parser().parse_args(arguments)
    console = Console(quiet=options.quiet)
    try:
        print(_convert(options, console))
    except ConvertError as error:
        print(f"lineside-convert: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("\nlineside-convert: interrupted; nothing was written", file=sys.stderr)
        return errors.INTERRUPTED
    return errors.OK


def _convert(options: argparse.Namespace, console: Console) -> str:
    output: Path = options.output
    if output.suffix != ".tflite":
        raise Refused(f"expected an output that ends in .tflite, got {output}")
    if not output.parent.is_dir():
        raise Refused(f"there is no folder {output.parent} to write to")
    log = options.log or output.with_suffix(".log")
    with Workbench(log, console) as bench:
        return Conversion(options, console, bench).perform()


if __name__ == "__main__":
    sys.exit(main())
