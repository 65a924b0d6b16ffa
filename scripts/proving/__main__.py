"""`scripts/prove-converter PART...`: run them, write docs/conversion-proof.md."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Part, Table
from benchmarks.page import markdown

from proving.shop import DATA, ROOT, Shop

PACKAGES = ("tensorflow", "ai-edge-litert", "tflite-runtime")
PARTS = ("accuracy", "castings", "rescue", "everything", "tasks", "comfort")

MARK = "\n## "
HEAD = """\
# The converter, shown

Made by `scripts/prove-converter` with the models and pictures of the test data; don't edit it.
It ends with an error when a line is not met. Milliseconds and seconds belong to the machine and to
what else it did; shares and sizes do not. Each part replaces its own section.
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
    _write(arguments.out, found)
    return 0 if all(check.holds for part in found for check in part.checks) else 1


def _run(name: str, shop: Shop) -> Part:
    begun = time.monotonic()
    part: Part = importlib.import_module(f"proving.{name}").run(shop)
    for check in part.checks:
        print(f"{'met    ' if check.holds else 'NOT MET'} {check.claim}: {check.found}")
    print(f"        ({name}: {time.monotonic() - begun:.0f} s)", flush=True)
    return part


def _write(page: Path, parts: list[Part]) -> None:
    """Put what was found in place of what these parts found before."""
    sections = {}
    if page.exists():
        for text in page.read_text(encoding="utf-8").split(MARK)[1:]:
            sections[text.partition("\n")[0]] = text.strip()
    sections |= {part.title: _section(part) for part in parts}
    page.write_text(HEAD + "".join(f"{MARK}{text}\n" for text in sections.values()), "utf-8")


def _section(part: Part) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    with_what = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [part.title, "", f"{part.how} Run on {day} with {with_what}."]
    table = Table("", ["line", "found", "met"])
    for check in part.checks:
        table.rows.append([check.claim, check.found, "yes" if check.holds else "**no**"])
    for each in (table, *part.tables):
        lines += ["", *markdown(each)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
