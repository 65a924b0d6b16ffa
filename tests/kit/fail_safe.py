"""Makes docs/fail-safe.md from the tests that ran and passed.

    FAIL_SAFE=docs/fail-safe.md python -m pytest tests/camera tests/power -m failsafe

A test that carries `@pytest.mark.failsafe(fault, plc, within, record, recovery)` is a row.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

COLUMNS = ("fault", "plc", "within", "record", "recovery")

HEAD = """\
# Fail-safe

What happens when something goes wrong. Made from the tests that ran and passed, by
`FAIL_SAFE=docs/fail-safe.md python -m pytest tests/camera tests/power -m failsafe`; a test holds
this page to them.

Whatever is not in time, not seen or not understood is no decision, and a PLC that follows
[the pass rule](plc.md#the-pass-rule) rejects the part. OK is said in one place only, after a model
has looked at a frame exposed after the trigger, before the deadline.

| fault | what the PLC sees | within | what the record says | how it recovers | test |
|---|---|---|---|---|---|
"""

TAIL = """
## 100,000 triggers

`scripts/torture` fires at a whole line from four PLCs at once, with numbers that repeat, numbers
that are used for another part, connections that hang up, a camera that is late or gives rubbish,
and a model that stalls beyond the deadline or raises. Each frame carries a number, which the model
gives back as its class: so each answer can be held against its frame, its record and its
counters. 2026-11-27, two x86-64 cores at work for others too, 194 s:

| | | | |
|---|---|---|---|
| triggers | 100,000 | parts recorded | 50,847 |
| answers | 109,621 | OK | 40,186 |
| of them refused as busy | 54,472 | NG | 10,044 |
| hung up on before the answer | 531 | no decision | 617 |
| stalls of the model | 187 | late, in the records only | 170 |
| errors of the model | 101 | frames judged | 50,399 |

No answer of another part, none twice with another word, none lost, none after its deadline by the
line's account, no bad part and no fault that was OK. A fifth of the frames shows a bad part.

**Not shown here:** a plug that is pulled (kills at any moment and a disk's own writes replayed
stand for it, see [operation.md](operation.md)), heat, and a PLC of any make.
"""


def configure(config: pytest.Config) -> None:
    """The marker, and who collects. Call it from `pytest_configure`."""
    config.addinivalue_line(
        "markers", "failsafe(fault, plc, within, record, recovery): a row of docs/fail-safe.md"
    )
    path = os.environ.get("FAIL_SAFE")
    config.pluginmanager.register(Matrix(Path(path) if path else None), "fail-safe-matrix")


def row_of(item: Any) -> tuple[str, ...] | None:
    """The row that a test proves, if any."""
    marker = item.get_closest_marker("failsafe")
    if marker is None:
        return None
    cells = dict(zip(COLUMNS, marker.args, strict=False)) | marker.kwargs
    name = f"`{item.path.name}::{item.originalname or item.name}`"
    return (*(str(cells[column]) for column in COLUMNS), name)


def page(rows: list[tuple[str, ...]]) -> str:
    """The whole page."""
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + TAIL


class Matrix:
    """Collects rows, and which of their tests passed.

    Args:
        path: Where to write the page; None to write none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows: dict[str, tuple[str, ...]] = {}
        self._failed: set[tuple[str, ...]] = set()
        self._passed: set[tuple[str, ...]] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Before they are shuffled, so that the page keeps its order."""
        for item in items:
            if (row := row_of(item)) is not None:
                self._rows[item.nodeid] = row

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A row stands only if all its tests passed."""
        row = self._rows.get(report.nodeid)
        if row is None:
            return
        if report.failed:
            self._failed.add(row)
        elif report.when == "call" and report.passed:
            self._passed.add(row)

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        if self._path is None:
            return
        proved = [row for row in dict.fromkeys(self._rows.values()) if row in self._passed]
        self._path.write_text(
            page(sorted(row for row in proved if row not in self._failed)), encoding="utf-8"
        )
