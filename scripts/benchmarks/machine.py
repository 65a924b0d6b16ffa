"""The machine that measures: what it is, and whether it is quiet enough to be believed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import percentile
from edge_app.box import describe_box, read_heat

PACKAGES = (
    "ai-edge-litert",
    "tflite-runtime",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "flask",
)
LOOK_S = 1.0
MAX_OTHERS = 0.10
"""Share of all processors that other work may use while the bench itself does nothing."""

MAX_JITTER = 1.5
"""A fixed piece of work may at p90 take so many times its fastest run."""


def describe_machine() -> dict[str, Any]:
    """Processor, cores, governor, kernel, memory, versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    return describe_box() | {"python": platform.python_version(), "packages": versions}


@dataclass(frozen=True, slots=True)
class Quiet:
    """How quiet the machine was for a moment.

    Args:
        others: Share of all processors used by others while the bench slept.
        stolen: Share that the hypervisor took for somebody else.
        jitter: p90 of a fixed piece of work against its fastest run.
        work_ms: That fastest run.
        load: Load average of a minute.
        throttled: What the processor says of heat or power; empty if all is well.
    """

    others: float
    stolen: float
    jitter: float
    work_ms: float
    load: float
    throttled: str

    def warnings(self) -> list[str]:
        """A sentence for each thing that speaks against the figures."""
        said = []
        if self.others > MAX_OTHERS:
            said.append(f"other programs used {self.others:.0%} of the processors")
        if self.stolen > 0.02:
            said.append(f"the hypervisor gave {self.stolen:.0%} of the processors to others")
        if self.jitter > MAX_JITTER:
            said.append(f"a fixed piece of work took up to {self.jitter:.1f} times its fastest run")
        if self.throttled:
            said.append(f"the processor is throttled: {self.throttled}")
        return said

    def to_json(self) -> dict[str, Any]:
        """For the page's JSON."""
        return asdict(self)


def listen() -> Quiet:
    """Be still for a second and see what others do; then do a fixed piece of work often."""
    before = _ticks()
    time.sleep(LOOK_S)
    after = _ticks()
    spent = [b - a for a, b in zip(before, after, strict=True)]
    total = sum(spent) or 1
    idle, stolen = spent[3] + spent[4], spent[7]
    times = []
    until = time.monotonic() + LOOK_S / 2
    while time.monotonic() < until:
        began = time.perf_counter()
        sum(range(100_000))
        times.append((time.perf_counter() - began) * 1000)
    return Quiet(
        others=1 - idle / total,
        stolen=stolen / total,
        jitter=percentile(times, 90) / min(times),
        work_ms=min(times),
        load=os.getloadavg()[0],
        throttled=read_heat().throttled,
    )


def _ticks() -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq, steal of all processors."""
    with Path("/proc/stat").open() as file:
        return [int(word) for word in file.readline().split()[1:9]]
