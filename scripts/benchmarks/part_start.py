"""`bench start`: from exec to READY against `import tensorflow`, and memory after the same work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import memory as both_programs
from benchmarks.figures import Part, Table, percentile, ratio
from benchmarks.place import Place
from benchmarks.processes import resident_mb

SHOWN = 12
"""Packages that are listed."""


def run(place: Place) -> Part:
    """Measure start-up, resident memory at READY, and what is imported."""
    part = Part(
        "start",
        "Start-up",
        "From exec to `READY=1` on systemd's notification socket, each program by itself, the "
        "files in the page cache, in turn with `import tensorflow` in a Python of the baselines' "
        "environment. READY means: the model is loaded and warm, the ports are open.",
    )
    data = place.stocked("start")
    config = place.settings(data, ["cam1"])
    python = place.baseline_python()
    rounds = 2 if place.quick else 8
    memory: dict[str, list[float]] = {"app": [], "line": []}
    for number in range(rounds + 1):
        app = place.start_app(config, niceness=0)
        memory["app"].append(resident_mb(app.pid))
        app.stop()
        line = place.start_line(config, "cam1")
        memory["line"].append(resident_mb(line.pid))
        line.stop()
        tensorflow_ms = _time([python, "-c", "import tensorflow"])
        bare_ms = _time([sys.executable, "-c", "pass"])
        if number:  # the first round fills the page cache
            part.series.setdefault("app", []).append(app.ready_s * 1000)
            part.series.setdefault("line", []).append(line.ready_s * 1000)
            part.series.setdefault("import tensorflow", []).append(tensorflow_ms)
            part.series.setdefault("python -c pass", []).append(bare_ms)
    _tabulate(part, memory)
    both_programs.compare(part, place)
    for name, module in (("app", ["edge_app"]), ("line", ["camera", "cam1"])):
        _profile(part, name, module, config)
    return part


def _tabulate(part: Part, memory: dict[str, list[float]]) -> None:
    base = percentile(part.series["import tensorflow"], 50)
    table = Table(
        "exec to READY",
        ["", "runs", "p50 s", "slowest s", "/ import tensorflow", "memory at READY, MB"],
    )
    for name, times in part.series.items():
        p50 = percentile(times, 50)
        mb = f"{percentile(memory[name], 50):.0f}" if name in memory else "-"
        row = [
            name,
            len(times),
            f"{p50 / 1000:.2f}",
            f"{max(times) / 1000:.2f}",
            ratio(p50, base),
            mb,
        ]
        table.rows.append(row)
    table.note = "Memory is the proportional set size: what is shared is counted once."
    part.tables.append(table)
    for name in ("app", "line"):
        p50 = percentile(part.series[name], 50)
        part.check(
            f"the {name} is ready in at most a third of `import tensorflow`, and 1.5 s",
            f"{ratio(p50, base)} of it, {p50 / 1000:.2f} s",
            p50 <= base / 3 and p50 <= 1500,
        )


def _time(command: list[str]) -> float:
    began = time.monotonic()
    subprocess.run(
        command, check=True, capture_output=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    )
    return (time.monotonic() - began) * 1000


def _profile(part: Part, name: str, module: list[str], config: Path) -> None:
    """What `python -X importtime` says of a program that only looks at its settings."""
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        *module,
        "--config",
        str(config),
        "--check",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = parse_importtime(done.stderr)
    packages: dict[str, list[float]] = {}
    for module_, own_ms in rows:
        packages.setdefault(module_.split(".")[0].removeprefix("_"), []).append(own_ms)
    whole_ms = sum(own_ms for _, own_ms in rows)
    part.facts[f"imports of the {name}"] = {"modules": len(rows), "ms": round(whole_ms, 1)}
    table = Table(
        f"What the {name} imports",
        ["package", "modules", "ms"],
        note=f"{len(rows)} modules in {whole_ms:.0f} ms, measured with `-X importtime` (which "
        "makes imports slower) on a run with `--check`: before a model is loaded.",
    )
    costly = sorted(packages.items(), key=lambda item: -sum(item[1]))[:SHOWN]
    table.rows = [[package, len(own), f"{sum(own):.1f}"] for package, own in costly]
    part.tables.append(table)


def parse_importtime(text: str) -> list[tuple[str, float]]:
    """Each module with its own milliseconds, without those of what it imports in turn."""
    found = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", text)
    return [(name, int(own) / 1000) for own, name in found]
