"""The certificate of a commissioning run: figures, and the hashes of what was measured."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_app.box import Heat, describe_box
from edge_app.certificate_page import render
from edge_app.config import Settings
from edge_app.inference.durable import write_durably
from edge_app.inference.interpreter import installed_runtimes
from edge_app.jobs import JobStore
from edge_app.models import ModelStore
from edge_app.records.database import Database

if TYPE_CHECKING:
    from edge_app.commission import Phase

FORMAT = 1
ANSWER_MS = 20.0
"""What an answer may take beyond the deadline to get to whoever asked."""

MAX_SAMPLES = 20_000
MAX_LAPS_FROM = 500


def certify(
    *,
    settings: Settings,
    config: Path | None,
    camera: str,
    status: Mapping[str, Any],
    phases: Sequence[Phase],
    heats: Sequence[Heat],
    throttled: int | None,
    first_id: int,
) -> dict[str, Any]:
    """Everything that was found, with the hashes of what it was found with.

    Args:
        settings: In force.
        config: Their file.
        camera: The line's name.
        status: What the line said of itself before the run.
        phases: The run.
        heats: The sensors, once a second.
        throttled: How often the processor slowed down meanwhile; None where not counted.
        first_id: The run's first inspection.
    """
    deadline_ms = float(status["deadline_ms"])
    document: dict[str, Any] = {
        "lineside_certificate": FORMAT,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": importlib.metadata.version("lineside"),
        "box": describe_box(),
        "camera": {
            "name": camera,
            # An address may hold a password.
            "source": re.sub(r"//[^/@]*@", "//***@", settings.camera(camera).source),
        },
        "deadline_ms": deadline_ms,
        "settings_sha256": _sha256(config) if config else None,
        "job": _job(settings, int(status["job"])),
        "model": _model(settings, str(status["model"]), status),
        "phases": [_phase(phase, deadline_ms) for phase in phases],
        "laps": _laps(settings.data_dir / "records.db", camera, first_id),
        "heat": _heat(heats, throttled),
        "samples_ms": [round(value, 2) for value in phases[-1].round_ms[:MAX_SAMPLES]],
    }
    document["outcome"] = outcome(document)
    document["sha256"] = _digest(document)
    return document


def outcome(document: Mapping[str, Any]) -> dict[str, Any]:
    """Whether the line kept its deadline, in one sentence."""
    paced, deadline_ms = document["phases"][-1], document["deadline_ms"]
    parts = sum(phase["fired"] for phase in document["phases"])
    faults = {
        "were not decided by the deadline": sum(p["misses"] for p in document["phases"]),
        "got no decision": sum(sum(p["codes"].values()) for p in document["phases"]),
        "were answered too late": sum(p["late_answers"] for p in document["phases"]),
    }
    worst = next((f"{n} of {parts} parts {what}" for what, n in faults.items() if n), "")
    passed = bool(parts) and not worst
    sentence = (
        f"{'Passed' if passed else 'NOT PASSED'}: at {paced['per_minute']:.0f} parts a minute "
        f"{worst or 'every part was decided and answered in time'}; "
        f"p99.9 {paced['round_ms']['p99.9']:.1f} ms of {deadline_ms:.0f} ms."
    )
    return {"passed": passed, "sentence": sentence}


def write_certificate(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write JSON and HTML side by side; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = re.sub(r"[^0-9]", "", document["at"])
    stem = f"{stamp}-{document['camera']['name']}"
    text = json.dumps(document, indent=1, ensure_ascii=False)
    write_durably(folder / f"{stem}.json", text.encode())
    page = folder / f"{stem}.html"
    write_durably(page, render(document).encode())
    return page


def is_genuine(document: Mapping[str, Any]) -> bool:
    """Whether a certificate still says what was written; no protection against forgery."""
    return document.get("sha256") == _digest(document)


def _digest(document: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in document.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _job(settings: Settings, number: int) -> dict[str, Any]:
    job = JobStore(settings.data_dir / "jobs").load(number)
    digest = hashlib.sha256(job.to_toml().encode()).hexdigest()
    return {"number": number, "name": job.name, "sha256": digest}


def _model(settings: Settings, label: str, status: Mapping[str, Any]) -> dict[str, Any]:
    store = ModelStore(settings.data_dir / "models")
    name, _, number = label.partition("/")
    version = store.version(name, int(number))
    tuning = store.tuning(version)
    return {
        "label": label,
        "sha256": store.load(version).sha256,
        "file_sha256": _sha256(version.path),
        "runtime": status["runtime"],
        "threads": status["threads"],
        "runtimes": installed_runtimes(),
        "tuning": [] if tuning is None else tuning.to_json()["rows"],
    }


def _phase(phase: Phase, deadline_ms: float) -> dict[str, Any]:
    latest_ms = deadline_ms + ANSWER_MS
    return {
        "name": phase.name,
        "seconds": round(phase.took_s, 1),
        "fired": phase.fired,
        "busy": phase.busy,
        "unanswered": phase.unanswered,
        "misses": phase.misses,
        "late_answers": sum(spent_ms > latest_ms for spent_ms in phase.round_ms),
        "per_minute": round(phase.per_minute, 1),
        "ms": _spread(phase.ms),
        "round_ms": _spread(phase.round_ms),
        "verdicts": dict(phase.verdicts),
        "codes": {str(code): count for code, count in phase.codes.items()},
    }


def _spread(samples: Sequence[float]) -> dict[str, float]:
    if not samples:
        return dict.fromkeys(("p50", "p99", "p99.9", "max"), 0.0)
    # The higher neighbour: a tail is not made smoother than it was.
    values = np.percentile(samples, [50, 99, 99.9, 100], method="higher")
    return dict(zip(("p50", "p99", "p99.9", "max"), map(float, values.round(2)), strict=True))


def _laps(path: Path, camera: str, first_id: int) -> dict[str, dict[str, float]]:
    database = Database(path)
    try:
        found = database.inspections(limit=MAX_LAPS_FROM, camera=camera)
    finally:
        database.close()
    laps: dict[str, list[float]] = {}
    for inspection in found:
        if inspection.test and inspection.id >= first_id:
            for lap, spent_ms in inspection.laps_ms.items():
                laps.setdefault(lap, []).append(spent_ms)
    return {lap: _spread(times) for lap, times in laps.items()}


def _heat(heats: Sequence[Heat], throttled: int | None) -> dict[str, Any]:
    degrees = [heat.celsius for heat in heats if heat.celsius is not None]
    clocks = [heat.mhz for heat in heats if heat.mhz is not None]
    return {
        "celsius_first": degrees[0] if degrees else None,
        "celsius_max": max(degrees, default=None),
        "mhz_min": min(clocks, default=None),
        "mhz_max": max(clocks, default=None),
        "throttling_readable": any(heat.readable for heat in heats),
        "throttled": sorted({heat.throttled for heat in heats if heat.throttled}),
        "throttle_count": throttled,
    }
