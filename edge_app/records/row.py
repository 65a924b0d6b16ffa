"""An inspection as a row of the database, and back; a cell that is damaged spoils only itself."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from edge_app.inference.judge import Code, Decision
from edge_app.records.findings import Findings
from edge_app.records.inspection import Inspection

COLUMNS = tuple(entry.name for entry in dataclasses.fields(Inspection) if entry.name != "damaged")


def row_of(inspection: Inspection) -> list[Any]:
    """Values in the order of `COLUMNS`."""
    findings = inspection.findings.to_json()
    values = {
        "decision": str(inspection.decision),
        "code": int(inspection.code),
        "warning": int(inspection.warning),
        "scores": json.dumps(dict(inspection.scores)),
        "laps_ms": json.dumps(dict(inspection.laps_ms)),
        "test": int(inspection.test),
        "findings": json.dumps(findings, ensure_ascii=False) if findings else "",
    }
    return [values.get(name, getattr(inspection, name)) for name in COLUMNS]


def inspection_of(row: sqlite3.Row | Mapping[str, Any]) -> Inspection:
    """What is known of an inspection: in place of a damaged cell stands what says nothing."""
    values: dict[str, Any] = {}
    damaged = []
    for name in COLUMNS:
        try:
            values[name] = READ[name](row[name]) if name in READ else row[name]
        except (ValueError, KeyError, TypeError, AttributeError):
            damaged.append(name)
    return Inspection(**values, damaged=tuple(damaged))


def _numbers(text: str) -> Mapping[str, float]:
    return {name: float(number) for name, number in json.loads(text).items()}


def _findings(text: str) -> Findings:
    return Findings.from_json(json.loads(text)) if text else Findings()


READ: Mapping[str, Callable[[Any], object]] = {
    "decision": Decision,
    "code": Code,
    "warning": Code,
    "scores": _numbers,
    "laps_ms": _numbers,
    "test": bool,
    "findings": _findings,
}
"""Cells that are more than what SQLite itself makes of them."""
