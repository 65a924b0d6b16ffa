"""docs/performance.md, made of what the last runs of each part left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import Part, Table
from benchmarks.machine import Quiet
from benchmarks.svg import tail_plot

PARTS = ("line", "app", "tune", "swap", "decode", "batch", "convert", "start")

HEAD = """\
# Performance

Made by `scripts/bench`; don't edit it, run the bench. Every part runs its own baselines in
the same run on the same machine, so read the ratios; milliseconds belong to the machine
that is named. Raw samples, one row a series, lie beside the JSON in `performance/`.

    scripts/bench all            everything, about a quarter of an hour
    scripts/bench line app       some parts
    scripts/bench all --quick    everything, cut short: shows that it runs, not how fast
    scripts/soak --hours 1       everything at once, with faults; checks what must always hold
    scripts/simulate-scale       see scale.md
    lineside bench               the same question put to one device, see commissioning.md

p99.9 needs at least a thousand runs to mean anything; where there are fewer it is the
slowest run. Baselines are installed on demand into `.venv-bench`, never into the device's
environment.
"""

NOT_MEASURED = Path(__file__).with_name("not_measured.md")
"""What the page says of boards that nobody measured on, with published figures."""


def keep(folder: Path, part: Part, meta: Mapping[str, Any]) -> None:
    """Write a part's JSON, samples and plots, in place of its former ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{part.name}-*.svg"):
        old.unlink()
    document = part.to_json() | {"meta": dict(meta)}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=True)
    (folder / f"{part.name}.json").write_text(text + "\n", encoding="utf-8")
    rows = [
        ",".join([name.replace(",", " "), *(f"{value:.5g}" for value in values)])
        for name, values in part.series.items()
    ]
    (folder / f"{part.name}.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")
    for number, (title, names) in enumerate(part.plots):
        plot = tail_plot(title, {name: part.series.get(name, []) for name in names})
        (folder / plot_name(part.name, number)).write_text(plot, encoding="utf-8")


def plot_name(part: str, number: int) -> str:
    """File name of a part's plot."""
    return f"{part}-{number + 1}.svg"


def write_page(folder: Path, page: Path) -> None:
    """Write the page from what lies in the folder; parts that are not there are named."""
    documents = {}
    for name in PARTS:
        path = folder / f"{name}.json"
        if path.exists():
            documents[name] = json.loads(path.read_text(encoding="utf-8"))
    sections = [HEAD]
    missing = [name for name in PARTS if name not in documents]
    if missing:
        sections.append(f"**Not run yet:** {', '.join(missing)}.\n")
    sections.append(_claims(documents))
    sections += [_section(document, folder.name) for document in documents.values()]
    soak = folder / "soak.json"
    if soak.exists():
        report = json.loads(soak.read_text(encoding="utf-8"))
        sections.append(_soak(report, documents.get("start"), folder.name))
    else:
        sections.append(
            "## Soak\n\nNot run yet: `scripts/soak --hours 1 --out docs/performance`.\n"
        )
    sections.append(NOT_MEASURED.read_text(encoding="utf-8"))
    page.write_text("\n".join(sections), encoding="utf-8")


def _claims(documents: Mapping[str, dict[str, Any]]) -> str:
    table = Table("", ["part", "aim", "found", "holds"])
    words = {True: "yes", False: "**no**", None: "not told"}
    for name, document in documents.items():
        for check in Part.from_json(document).checks:
            table.rows.append([name, check.claim, check.found, words[check.holds]])
    return "\n".join(["## Aims", "", *markdown(table), ""])


def _section(document: dict[str, Any], folder: str) -> str:
    part, meta = Part.from_json(document), document["meta"]
    lines = [f"## {part.title}", "", part.how, "", f"{_ran(meta)}", ""]
    for warning in meta["warnings"]:
        lines += [f"> **The machine was not quiet:** {warning}.", ""]
    for table in part.tables:
        lines += [f"### {table.title}", "", *markdown(table), ""]
        if table.note:
            lines += [table.note, ""]
    for number, (title, _) in enumerate(part.plots):
        lines += [f"![{title}]({folder}/{plot_name(part.name, number)})", ""]
    return "\n".join(lines)


def _soak(report: Mapping[str, Any], start: Mapping[str, Any] | None, folder: str) -> str:
    """The soak in short, with the memory that was left after it."""
    meta, broken = report["meta"], sum(e["broken"] for e in report["invariants"].values())
    spread, lives = report["answer_ms"], report["lives"]
    table = Table("", ["program", "lived s", "MB at first", "at most", "at last", "CPU s"])
    longest: dict[str, float] = {}
    for life in sorted(lives, key=lambda entry: -entry["seconds"]):
        table.rows.append([life["name"], f"{life['seconds']:.0f}", *life["mb"], life["cpu_s"]])
        longest.setdefault(life["name"], life["mb"][-1])
    outcome = "no invariant broke" if not broken else f"**{broken} violations**"
    outcome_said = (
        f"{meta['minutes']:.0f} minutes on {meta['at']}, version {meta['version']}: {outcome} in "
        f"{spread['n']} answers, faults and all. The whole report is [soak.md]({folder}/soak.md)."
    )
    lines = ["## Soak", "", outcome_said, "", *markdown(table), ""]
    together = longest.get("app", 0.0) + longest.get("cam1", 0.0)
    tutorial = (start or {}).get("facts", {}).get("resident_mb", {}).get("tutorial service")
    if tutorial and together:
        memory = (
            f"Line and app that lived longest had {together:.0f} MB together at their end: "
            f"{together / tutorial:.2f} of the {tutorial:.0f} MB that the tutorials' service has "
            "after a thousand uploads (see start-up); the aim is a fifth."
        )
        lines += [memory, ""]
    return "\n".join(lines)


def _ran(meta: Mapping[str, Any]) -> str:
    machine = meta["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    cut = "**Cut short (`--quick`): no figure here is a result.** " if meta["quick"] else ""
    board = f"{machine['model']}, " if machine["model"] else ""
    clock = f" at up to {machine['max_mhz']} MHz" if machine["max_mhz"] else ""
    return (
        f"{cut}Run on {meta['at']} in {meta['seconds']:.0f} s, version {meta['version']}, on "
        f"{board}{machine['processor']}, {machine['cores']} cores{clock}, "
        f"{machine['memory_mb'] / 1000:.1f} GB, governor {machine['governor']}, "
        f"{machine['system']}, kernel {machine['kernel']}, Python {machine['python']}, {packages}."
    )


def markdown(table: Table) -> list[str]:
    """A table as lines of Markdown."""
    lines = ["| " + " | ".join(table.header) + " |", "|" + " --- |" * len(table.header)]
    for row in table.rows:
        cells = (str(cell).replace("|", "\\|") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def warnings_of(before: Quiet, after: Quiet) -> list[str]:
    """What speaks against a part's figures, from a look before it and one after it."""
    said = list(dict.fromkeys(before.warnings() + after.warnings()))
    drift = after.work_ms / before.work_ms
    if not 0.87 <= drift <= 1.15:
        said.append(
            f"a fixed piece of work took {drift:.2f} times as long at the end as at the start"
        )
    return said
