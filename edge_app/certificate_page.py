"""The certificate's page: one file, no script, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

TEMPLATE = Path(__file__).with_name("certificate.html")


def render(document: Mapping[str, Any]) -> str:
    """The page of a certificate."""
    box, model, heat = document["box"], document["model"], document["heat"]
    facts = {
        "Date": document["at"],
        "Lineside": document["version"],
        "Box": f"{box['model'] or box['processor']}, {box['cores']} cores, "
        f"{box['memory_mb'] / 1000:.1f} GB, governor {box['governor']}",
        "System": f"{box['system']}, kernel {box['kernel']}",
        "Camera": f"{document['camera']['name']}, {document['camera']['source']}",
        "Job": f"{document['job']['number']} {document['job']['name']}",
        "Model": f"{model['label']} in {model['runtime']}, {_threads(model['threads'])}",
        "Deadline": f"{document['deadline_ms']:.0f} ms",
        "Temperature": _degrees(heat),
        "Throttling": _throttling(heat),
    }
    hashes = {
        "certificate": document["sha256"],
        "model": model["sha256"],
        "model file": model["file_sha256"],
        "job": document["job"]["sha256"],
        "settings": document["settings_sha256"] or "no file",
    }
    passed = document["outcome"]["passed"]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(f"Commissioning of {document['camera']['name']}, {document['at']}"),
        outcome_class="passed" if passed else "failed",
        outcome=escape(document["outcome"]["sentence"]),
        facts=_table([], list(facts.items())),
        phases=_table(*_phases(document["phases"])),
        histogram=_histogram(document["samples_ms"], document["deadline_ms"]),
        laps=_table(
            ["", "p50 ms", "p99 ms", "max ms"],
            [(lap, s["p50"], s["p99"], s["max"]) for lap, s in document["laps"].items()],
        ),
        runtimes=_runtimes(model),
        hashes=_table([], list(hashes.items())),
    )


def _phases(phases: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[Sequence[object]]]:
    header = ["", *(phase["name"] for phase in phases)]
    rows: list[Sequence[object]] = [
        ("seconds", *(phase["seconds"] for phase in phases)),
        ("parts", *(phase["fired"] for phase in phases)),
        ("parts a minute", *(f"{phase['per_minute']:.0f}" for phase in phases)),
    ]
    for what, key in (("trigger to decision", "ms"), ("trigger to answer", "round_ms")):
        rows += [
            (f"{what}, {share}, ms", *(f"{phase[key][share]:.2f}" for phase in phases))
            for share in ("p50", "p99", "p99.9", "max")
        ]
    rows.append(("deadline missed", *(phase["misses"] for phase in phases)))
    rows.append(("answered too late", *(phase["late_answers"] for phase in phases)))
    rows.append(("refused, busy with another part", *(phase["busy"] for phase in phases)))
    for what in ("verdicts", "codes"):
        cells = (", ".join(f"{k}: {v}" for k, v in p[what].items()) or "-" for p in phases)
        rows.append((what if what == "verdicts" else "codes without a decision", *cells))
    return header, rows


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def _runtimes(model: Mapping[str, Any]) -> str:
    if not model["tuning"]:
        name = escape(model["label"].split("/")[0])
        return f"<p>Not measured: <code>lineside models tune {name}</code> does it.</p>"
    columns = ("runtime", "threads", "p50_ms", "p90_ms", "problem")
    rows = [[row[column] for column in columns] for row in model["tuning"]]
    return _table(["runtime", "threads", "p50 ms", "p90 ms", ""], rows)


def _degrees(heat: Mapping[str, Any]) -> str:
    if heat["celsius_max"] is None:
        return "not readable on this box"
    return f"{heat['celsius_first']:.1f} °C at the start, {heat['celsius_max']:.1f} °C at most"


def _throttling(heat: Mapping[str, Any]) -> str:
    clock = ""
    if heat["mhz_min"] is not None:
        clock = f"; clock {heat['mhz_min']:.0f} to {heat['mhz_max']:.0f} MHz"
    if heat["throttled"]:
        return "; ".join(heat["throttled"]) + clock
    if not heat["throttling_readable"]:
        return f"not readable on this box{clock}"
    return f"{heat['throttle_count'] or 'none'}{clock}"


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["<table>"]
    if header:
        lines.append("<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in header) + "</tr>")
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in rest)
        lines.append(f'<tr><th scope="row">{escape(str(first))}</th>{cells}</tr>')
    return "\n".join([*lines, "</table>"])


def _histogram(samples: Sequence[float], deadline_ms: float) -> str:
    """Answers by milliseconds up to the deadline, as SVG."""
    if not samples:
        return "<p>no samples</p>"
    top = max([deadline_ms, *samples])
    counts, _ = np.histogram(samples, bins=80, range=(0, top))
    bars = []
    for place, count in enumerate(counts):
        # The logarithm keeps a single slow part visible beside thousands of quick ones.
        height = 150 * np.log1p(count) / np.log1p(counts.max())
        bars.append(
            f'<rect x="{place * 8 + 1}" y="{160 - height:.1f}" width="7" height="{height:.1f}"/>'
        )
    x = 640 * deadline_ms / top
    return (
        '<svg viewBox="0 0 640 190" role="img" aria-label="answers by milliseconds">'
        f"<g>{''.join(bars)}</g>"
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="160"/>'
        f'<text x="{x - 4:.1f}" y="12" text-anchor="end">deadline</text>'
        '<text x="0" y="180">0 ms</text>'
        f'<text x="640" y="180" text-anchor="end">{top:.0f} ms</text></svg>'
    )
