"""The report: one HTML file that needs no network, and the same figures as JSON."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from convert.choose import Trial
from convert.compare import scores_of
from convert.conversion import Outcome
from convert.finder import name_of
from convert.outcome import first_run
from edge_app.inference.decode import BadImage, decode_image

THUMB_PX = 160
BINS = 20
CONFUSION_LABELS = 20
"""Tables of more labels than this are unreadable on paper and are left out."""


def write_report(path: Path, outcome: Outcome, document: dict[str, Any]) -> None:
    """Write the HTML, and the figures beside it with the suffix `.json`."""
    shown = outcome.chosen or next((t for t in reversed(outcome.trials) if t.comparisons), None)
    environment = Environment(
        loader=PackageLoader("convert", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["percent"] = _percent
    environment.filters["layer"] = _layer
    page = environment.get_template("report.html").render(
        document=document,
        contract=name_of(outcome.shown.samples.contract) if outcome.shown.samples.contract else "",
        worst=_worst(outcome, shown) if shown else [],
        histogram=_histogram(shown) if shown else [],
        confusions=_confusions(outcome, shown) if shown else [],
    )
    path.write_text(page, encoding="utf-8")
    text = json.dumps(document, indent=1, ensure_ascii=False)
    path.with_suffix(".json").write_text(text, encoding="utf-8")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _layer(node: str) -> str:
    """A tensor's first name: fused layers carry those of all their parts."""
    first, *others = node.split(";")
    return f"{first} (with {len(others)} fused into it)" if others else first


def _histogram(trial: Trial) -> list[dict[str, Any]]:
    """How often scores differ by how much, as shares of the tallest bar."""
    comparison = next(iter(trial.comparisons.values()))
    top = max(float(comparison.distances.max()), 1e-6)
    counts, edges = np.histogram(comparison.distances, bins=BINS, range=(0, top))
    return [
        {"count": int(count), "height": count / max(1, counts.max()), "from": edge}
        for count, edge in zip(counts, edges[:-1], strict=True)
    ]


def _confusions(outcome: Outcome, trial: Trial) -> list[dict[str, Any]]:
    labels = outcome.measure.task.labels
    comparison = next(iter(trial.comparisons.values()))
    if comparison.confusion is None or comparison.float_confusion is None:
        return []
    if len(labels) > CONFUSION_LABELS:
        return []
    tables = {
        f"float32 in {outcome.measure.reference.runtime}": comparison.float_confusion,
        f"{trial.mode} in {comparison.runtime}": comparison.confusion,
    }
    return [
        {
            "name": name,
            "labels": labels,
            "rows": [
                [{"count": int(count), "share": float(count / max(1, row.sum()))} for count in row]
                for row in table
            ],
        }
        for name, table in tables.items()
    ]


def _worst(outcome: Outcome, trial: Trial) -> list[dict[str, Any]]:
    """The samples on which float and this model differ most, with pictures."""
    task = outcome.measure.task
    if not outcome.shown.photos or task.kind != "classification":
        return []
    comparison = next(iter(trial.comparisons.values()))
    before = scores_of(task, outcome.measure.reference)
    after = scores_of(task, first_run(trial))
    cards = []
    for place in comparison.worst:
        photo = outcome.shown.photos[place]
        cards.append(
            {
                "file": photo.path.name,
                "label": photo.label,
                "picture": _thumbnail(photo.path),
                "before": _said(task.labels, before[place]),
                "after": _said(task.labels, after[place]),
            }
        )
    return cards


def _said(labels: tuple[str, ...], scores: Any) -> str:
    best = int(np.argmax(scores))
    return f"{labels[best]} {scores[best]:.2f}"


def _thumbnail(path: Path) -> str:
    """A small JPEG as a data URL; empty if the file is gone."""
    try:
        image = decode_image(path.read_bytes())
    except (BadImage, OSError):
        return ""
    scale = THUMB_PX / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = cv2.resize(image, size, interpolation=kernel)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()
