"""An inspection as a row of the database, and back."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from typing import Any

from edge_app.inference.judge import Code, Decision
from edge_app.records.inspection import Inspection

COLUMNS = tuple(entry.name for entry in dataclasses.fields(Inspection))


def row_of(inspection: Inspection) -> list[Any]:
    """The values of an inspection's row, in the order of `COLUMNS`."""
    values = {
        "decision": str(inspection.decision),
        "code": int(inspection.code),
        "warning": int(inspection.warning),
        "scores": json.dumps(dict(inspection.scores)),
        "laps_ms": json.dumps(dict(inspection.laps_ms)),
        "test": int(inspection.test),
    }
    return [values.get(name, getattr(inspection, name)) for name in COLUMNS]


def inspection_of(row: sqlite3.Row) -> Inspection:
    """An inspection, as its row says."""
    values = dict(row)
    return dataclasses.replace(
        Inspection(**values),
        decision=Decision(values["decision"]),
        code=Code(values["code"]),
        warning=Code(values["warning"]),
        scores=json.loads(values["scores"]),
        laps_ms=json.loads(values["laps_ms"]),
        test=bool(values["test"]),
    )
