"""Makes docs/fail-safe.md from the tests that ran and passed.

    FAIL_SAFE=docs/fail-safe.md python -m pytest tests/camera -m failsafe

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
`FAIL_SAFE=docs/fail-safe.md python -m pytest tests/camera -m failsafe`; a test holds this page
to them.

Whatever is not in time, not seen or not understood is no decision, and a PLC that follows
[the pass rule](plc.md#the-pass-rule) rejects the part. OK is said in one place only, after a model
has looked at a frame exposed after the trigger, before the deadline.

| fault | what the PLC sees | within | what the record says | how it recovers | test |
|---|---|---|---|---|---|
"""

TAIL = """
**Not shown here:** a real power cut (SIGKILL at any moment stands for it; commits are
on the disk within `[data] sync_within_ms`, files are renamed into place), a real loss of the disk,
heat, and a PLC of any make.
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
