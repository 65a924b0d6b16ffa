"""The command line: every option with its default, checked before any work begins."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from convert.quantize import MODES, Border
from edge_app.inference.preprocess import Color, Contract, Kernel, Resize
from edge_app.inference.tasks import Activation

STATUSES = """\
exit status:
  0    the model file was written
  2    the command line is wrong
  3    the model, the pictures or the labels can't be used
  4    a model was made and failed a gate; nothing was written
  5    the converter or a runtime gave up; nothing was written
  130  interrupted; nothing was written
"""


def parser() -> argparse.ArgumentParser:
    """The command line of `lineside-convert`."""
    top = argparse.ArgumentParser(
        prog="lineside-convert",
        description="Make a TFLite model file for a device, and prove it on the user's pictures.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("source", type=Path, help="SavedModel folder, .keras, .h5 or .tflite")
    top.add_argument("-o", "--output", type=Path, required=True, help="the model file to write")
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
    add("--images", type=Path, help="folder of pictures; sub-folders are labels")
    add("--labels", type=Path, help="labels in the model's order, one a line; without it the "
        "sorted names of the sub-folders")  # fmt: skip
    add("--calibrate", type=_count, default=200, metavar="N",
        help="pictures to calibrate with (default 200)")  # fmt: skip
    add("--compare", type=_count, default=1000, metavar="N",
        help="pictures to compare on (default 1000)")  # fmt: skip


def _border(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--signature", default="", help="signature to convert (default serving_default)")
    add("--tags", type=_words, default=(), help="graph to convert, e.g. serve")
    add("--input-shape", type=_shape, action="append", default=[], metavar="[NAME=]1,H,W,C",
        help="sizes that the model leaves open")  # fmt: skip
    add("--activation", choices=("auto", *get_args(Activation)), default="auto",
        help="what makes scores of the outputs (default: judged by their values)")  # fmt: skip


def _preprocessing(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--color", choices=get_args(Color), help="order of the channels (default RGB)")
    add("--resize", choices=get_args(Resize), help="how pictures are fitted (default stretch)")
    add("--kernel", choices=get_args(Kernel), help="interpolation (default linear)")
    add("--mean", type=_numbers, help="subtracted from 0..255, one or one a channel (default 0)")
    add("--std", type=_numbers, help="divided by then, one or one a channel (default 255)")


def _mode(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--mode", choices=MODES, default="int8", help="quantization")
    add("--io", choices=get_args(Border), default="uint8", help="border of an int8 model")


def _judging(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--good", action="append", default=[], metavar="LABEL", help="label of a good part")
    add("--accept", type=float, default=0.9, help="OK from this score of the good labels on")
    add("--reject", type=float, default=0.5, help="NG below this; a person looks in between")


def _telling(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--log", type=Path, help="TensorFlow's own words go here (default: OUTPUT.log)")
    add("--quiet", action="store_true", help="say warnings only")


def contract_of(options: argparse.Namespace, channels: int) -> Contract:
    """The preprocessing contract the options name, for a model with so many channels.

    Raises:
        ValueError: The options contradict each other or the model.
    """
    given = {
        key: getattr(options, key)
        for key in ("color", "resize", "kernel", "mean", "std")
        if getattr(options, key) is not None
    }
    given.setdefault("color", "GREY" if channels == 1 else "RGB")
    contract = Contract(**given)
    if contract.channels != channels:
        raise ValueError(f"the model takes {channels} channels; --color {contract.color} gives "
                         f"{contract.channels}")  # fmt: skip
    return contract


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got {text}")
    return number


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
