"""The command line: every option with its default, checked before any work begins."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from convert.errors import Refused
from convert.gates import Gates
from convert.quantize import Border, Mode
from edge_app.inference.preprocess import Color, Contract, Kernel, Resize
from edge_app.inference.tasks import Activation, TaskKind

STATUSES = """\
exit status:
  0    the model file was written
  2    the command line is wrong
  3    the model, the pictures or the labels can't be used; nothing was written
  4    a model was made and failed a gate; nothing was written
  5    the converter or a runtime gave up; nothing was written
  130  interrupted; nothing was written
"""

RANGES: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "0..255": ((0.0,), (1.0,)),
    "0..1": ((0.0,), (255.0,)),
    "-1..1": ((127.5,), (127.5,)),
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""Mean and std of the usual value ranges, channels in the order RGB."""

LADDER: tuple[Mode, ...] = ("int8", "int8-mixed", "int16x8", "float16", "float32")
"""From the smallest on; `auto` takes the first that passes."""

MODES = ("auto", "float32", "float16", "dynamic", "int8", "int8-mixed", "int16x8")


def parser() -> argparse.ArgumentParser:
    """The command line of `lineside-convert`."""
    top = argparse.ArgumentParser(
        prog="lineside-convert",
        description="Make a model file for a device out of a model and pictures, and prove it.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # argparse takes -1 for a value, but -1..1 for an option; none of ours begins with a digit.
    top._negative_number_matcher = re.compile(r"-\.?\d")  # noqa: SLF001 - no public way
    top.add_argument("source", type=Path, help="SavedModel folder, .keras, .h5 or .tflite")
    top.add_argument("-o", "--output", type=Path, required=True, help="the .tflite file to write")
    top.add_argument("--name", default="", help="the model's name (default: the output's)")
    _pictures(top.add_argument_group("pictures and labels"))
    _border(top.add_argument_group("the model's border"))
    _preprocessing(top.add_argument_group("preprocessing the model was trained with"))
    _mode(top.add_argument_group("quantization"))
    _judging(top.add_argument_group("limits and gates"))
    _telling(top.add_argument_group("what is told"))
    return top


def _pictures(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--images", type=Path, help="folder of pictures; its sub-folders are labels")
    add("--labels", type=Path, help="labels in the model's order, one a line (default: the sorted "
        "names of the sub-folders)")  # fmt: skip
    add("--samples", type=Path, help=".npz of input tensors, for a model that takes no pictures")
    add("--calibrate", type=_count, default=200, metavar="N",
        help="samples to calibrate with (default 200)")  # fmt: skip
    add("--compare", type=_count, default=1000, metavar="N",
        help="samples to compare on (default 1000)")  # fmt: skip


def _border(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--signature", default="", help="signature to convert (default serving_default)")
    add("--tags", type=_words, default=(), help="graph to convert, e.g. serve")
    add("--input-shape", type=_shape, action="append", default=[], metavar="[NAME=]1,H,W,C",
        help="sizes that the model leaves open")  # fmt: skip
    add(
        "--task", choices=get_args(TaskKind), help="what the outputs mean (default: told from them)"
    )
    add("--activation", choices=get_args(Activation),
        help="what makes scores of the outputs (default: told from their values)")  # fmt: skip


def _preprocessing(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--preprocess", choices=("auto", "check", "trust"), help="auto: find it by the labels; "
        "check: warn if another is clearly better; trust: take what is given (default: auto if "
        "nothing is given, else check)")  # fmt: skip
    add("--color", choices=get_args(Color), help="order of the channels (default RGB)")
    add("--resize", choices=get_args(Resize), help="how pictures are fitted (default stretch)")
    add("--kernel", choices=get_args(Kernel), help="interpolation (default area)")
    add("--range", choices=RANGES, help="value range the model takes")
    add("--mean", type=_numbers, help="or: subtracted from 0..255, one or one a channel")
    add("--std", type=_numbers, help="and divided by then, one or one a channel")


def _mode(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--mode", choices=MODES, default="auto",
        help="auto takes the smallest that passes the gates (default)")  # fmt: skip
    add("--io", choices=get_args(Border), default="uint8", help="border of an int8 model")
    add("--every-mode", action="store_true", help="try all modes, for the report's table")
    add("--reference", type=Path, help="for a .tflite source: the model it was made of")


def _judging(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--good", action="append", default=[], metavar="LABEL", help="label of a good part")
    add("--accept", type=float, default=0.9, help="OK from this score of the good labels on")
    add("--reject", type=float, default=0.5, help="NG below this; a person looks in between")
    add("--min-agreement", type=_share, metavar="SHARE",
        help="least share of equal answers (default 0.90 with labels, 0.95 without)")  # fmt: skip
    add("--max-accuracy-drop", type=_share, default=0.01, metavar="SHARE",
        help="largest loss of accuracy (default 0.01)")  # fmt: skip
    add("--max-recall-drop", type=_share, default=0.01, metavar="SHARE",
        help="largest loss of a defect's recall, with --good (default 0.01)")  # fmt: skip
    add("--min-recall", type=_recall, action="append", default=[], metavar="LABEL=SHARE",
        help="least recall of a label")  # fmt: skip
    add("--max-distance", type=_share, default=0.05, metavar="SHARE",
        help="for bare numbers: largest mean difference (default 0.05 of the range)")  # fmt: skip


def _telling(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--report", type=Path, metavar="FILE.html", help="write the report, and FILE.json beside it"
    )
    add("--json", action="store_true", help="print the figures as JSON instead of the summary")
    add("--log", type=Path, help="TensorFlow's own words go here (default: OUTPUT.log)")
    add("--quiet", action="store_true", help="say warnings only")


def choices_of(options: argparse.Namespace) -> tuple[Mode, ...]:
    """Modes of which the first that passes is taken."""
    return LADDER if options.mode == "auto" else (options.mode,)


def modes_of(options: argparse.Namespace) -> tuple[Mode, ...]:
    """Modes to try, in this order; with `--every-mode` also what can't be taken."""
    if options.every_mode:
        return ("int8", "int8-mixed", "dynamic", "int16x8", "float16", "float32")
    return choices_of(options)


def gates_of(options: argparse.Namespace) -> Gates:
    """The gates the options set."""
    return Gates(
        min_agreement=options.min_agreement,
        max_accuracy_drop=options.max_accuracy_drop,
        max_recall_drop=options.max_recall_drop,
        min_recall=dict(options.min_recall),
        max_distance=options.max_distance,
    )


def says_range(options: argparse.Namespace) -> bool:
    """Whether the options tell the colour order or value range."""
    return any(getattr(options, key) is not None for key in ("color", "range", "mean", "std"))


def range_of(options: argparse.Namespace) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std the options name, in the channels' order; empty where they name none.

    Raises:
        Refused: They are told twice.
    """
    if not options.range:
        return options.mean or (), options.std or ()
    if options.mean or options.std:
        raise Refused("give --range, or --mean and --std, not both")
    mean, std = RANGES[options.range]
    if options.color == "GREY" and len(mean) > 1:
        raise Refused(f"--range {options.range} is of three channels; give --mean and --std")
    turned = -1 if options.color == "BGR" else 1
    return mean[::turned], std[::turned]


def contract_of(options: argparse.Namespace, channels: int) -> Contract:
    """The preprocessing contract the options name, for a model with so many channels.

    Raises:
        Refused: The options contradict each other or the model.
    """
    keys = ("color", "resize", "kernel", "mean", "std")
    given = {key: getattr(options, key) for key in keys if getattr(options, key) is not None}
    given.setdefault("color", "GREY" if channels == 1 else "RGB")
    if options.range:
        given["mean"], given["std"] = range_of(options)
    try:
        contract = Contract(**given)
    except ValueError as error:
        raise Refused(str(error)) from error
    if contract.channels != channels:
        raise Refused(
            f"the model takes {channels} channels; --color {contract.color} gives "
            f"{contract.channels}"
        )
    return contract


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text}")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"expected a share from 0 to 1, got {text}")
    return number


def _recall(text: str) -> tuple[str, float]:
    label, _, share = text.rpartition("=")
    if not label:
        raise argparse.ArgumentTypeError(f"expected LABEL=SHARE, got {text!r}")
    try:
        return label, _share(share)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a share after {label}=, got {share}") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers like 127.5, got {text!r}") from None


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"expected sizes like 1,224,224,3, got {text!r}")
    return name, shape
