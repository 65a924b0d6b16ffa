"""The soak's report: JSON for programs, Markdown for people."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.figures import ms, summary
from benchmarks.soak.ledger import INVARIANTS, Ledger
from benchmarks.soak.watch import Watch


def build(ledger: Ledger, watch: Watch, meta: dict[str, Any]) -> dict[str, Any]:
    """Everything that is known at the end."""
    return {
        "meta": meta,
        "whole": ledger.whole,
        "invariants": {
            key: {"says": said, "broken": ledger.broken[key]} for key, said in INVARIANTS.items()
        },
        "violations": ledger.words,
        "counts": dict(sorted(ledger.counts.items())),
        "answer_ms": summary(ledger.times_ms),
        "lives": [
            {
                "name": life.name,
                "seconds": round(life.at_s[-1] - life.at_s[0], 1),
                "mb": [round(life.mb[0], 1), round(max(life.mb), 1), round(life.mb[-1], 1)],
                "files": [life.files[0], max(life.files), life.files[-1]],
                "cpu_s": round(life.cpu_s, 1),
            }
            for life in watch.lives.values()
        ],
        "events": ledger.events,
    }


def write(folder: Path, report: dict[str, Any]) -> Path:
    """Write `soak.json` and `soak.md`; returns the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (folder / "soak.json").write_text(text + "\n", encoding="utf-8")
    page = folder / "soak.md"
    page.write_text(_markdown(report), encoding="utf-8")
    return page


def _markdown(report: dict[str, Any]) -> str:
    meta, machine = report["meta"], report["meta"]["machine"]
    faults = Counter(event for _, event in report["events"])
    verdict = "No invariant broke." if report["whole"] else "**Invariants broke.**"
    setting = (
        f"{verdict} {meta['minutes']:.1f} minutes on {meta['at']}, version {meta['version']}, "
        f"{machine['processor']}, {machine['cores']} cores, kernel {machine['kernel']}, seed "
        f"{meta['seed']}. Two lines, one app; a PLC on HTTP that puts parts of known truth under "
        "the camera, a PLC on Modbus, people with the page open, uploads good and bad, model "
        f"swaps, faults. Model: {meta['model']}; {meta['parts']} parts. {meta['disk']}"
    )
    spread = report["answer_ms"]
    times = (
        f"{spread['n']} answers: p50 {ms(spread['p50'])} ms, p99 {ms(spread['p99'])} ms, p99.9 "
        f"{ms(spread['p99.9'])} ms, at most {ms(spread['max'])} ms, faults and all."
    )
    lines = [
        "# Soak",
        "",
        setting,
        "",
        "| invariant | broken |",
        "| --- | --- |",
        *(
            f"| {entry['says']} | {'**' + str(entry['broken']) + '**' if entry['broken'] else 0} |"
            for entry in report["invariants"].values()
        ),
        "",
    ]
    if report["violations"]:
        lines += ["## Violations", "", "```", *report["violations"], "```", ""]
    lines += [
        "## Answers to the PLC",
        "",
        times,
        "",
        "## Processes",
        "",
        "| program | lived s | MB first, most, last | open files first, most, last | CPU s |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {life['name']} | {life['seconds']:.0f} | {_three(life['mb'])} | "
            f"{_three(life['files'])} | {life['cpu_s']} |"
            for life in report["lives"]
        ),
        "",
        "## Counts",
        "",
        *(f"- {what}: {number}" for what, number in report["counts"].items()),
        "",
        "## Faults",
        "",
        *(f"- {what}: {number}" for what, number in faults.most_common()),
        "",
    ]
    return "\n".join(lines)


def _three(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
