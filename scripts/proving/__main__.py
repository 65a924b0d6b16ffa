"""`scripts/prove-converter PART...`: run it all, write docs/conversion-proof.md."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.__main__ import version_of_tree
from benchmarks.figures import Part
from benchmarks.page import markdown

from proving.shop import DATA, ROOT, Shop

PACKAGES = ("tensorflow", "ai-edge-litert", "tflite-runtime")
PARTS = ("accuracy", "castings", "rescue", "everything", "tasks", "comfort")

HEAD = """\
# The converter, shown

Made by `scripts/prove-converter` with the models and pictures of the test data; don't edit it.
It ends with an error when a line is not met. Milliseconds and seconds belong to the machine and to
what else it did; shares and sizes do not.
"""


def main() -> int:
    """Run parts; 1 if a line is not met."""
    parser = argparse.ArgumentParser("scripts/prove-converter", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "conversion-proof.md")
    arguments = parser.parse_args()
    strangers = set(arguments.parts) - set(PARTS)
    if strangers:
        parser.error(f"expected some of {', '.join(PARTS)}; got {', '.join(sorted(strangers))}")
    if not DATA.is_dir():
        print("prove-converter: the test data is not beside the project", file=sys.stderr)
        return 1
    wanted = arguments.parts or PARTS
    with tempfile.TemporaryDirectory(prefix="lineside-proof-") as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        found = [_run(name, Shop(folder)) for name in PARTS if name in wanted]
    if tuple(wanted) == PARTS:
        arguments.out.write_text(_page(found), encoding="utf-8")
    return 0 if all(check.holds for part in found for check in part.checks) else 1


def _run(name: str, shop: Shop) -> Part:
    begun = time.monotonic()
    part: Part = importlib.import_module(f"proving.{name}").run(shop)
    for check in part.checks:
        print(f"{'met    ' if check.holds else 'NOT MET'} {check.claim}: {check.found}")
    print(f"        ({name}: {time.monotonic() - begun:.0f} s)", flush=True)
    return part


def _page(parts: list[Part]) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    with_what = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [HEAD, f"{day}, version {version_of_tree()}, {with_what}."]
    for part in parts:
        lines += ["", f"## {part.title}", "", part.how]
        if part.checks:
            lines += ["", "| line | found | met |", "| --- | --- | --- |"]
            lines += [
                f"| {c.claim} | {c.found} | {'yes' if c.holds else '**no**'} |" for c in part.checks
            ]
        for table in part.tables:
            lines += ["", *markdown(table)]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
