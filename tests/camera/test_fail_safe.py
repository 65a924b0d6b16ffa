"""docs/fail-safe.md is what the tests prove, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

import fail_safe
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "fail-safe.md").read_text(encoding="utf-8")


def test_every_proved_row_is_on_the_page(request: pytest.FixtureRequest) -> None:
    """A changed row without a new page is found here."""
    rows = {fail_safe.row_of(item) for item in request.session.items} - {None}
    missing = [row for row in rows if row and f"| {' | '.join(row)} |" not in PAGE]

    assert missing == [], "make the page anew, as its head says"


def test_every_row_of_the_page_has_its_test() -> None:
    """No row outlives its test."""
    rows = re.findall(r"`(test_\w+\.py)::(\w+)` \|$", PAGE, re.MULTILINE)

    assert len(rows) > 25
    for file, name in rows:
        (path,) = (ROOT / "tests").glob(f"*/{file}")
        source = path.read_text(encoding="utf-8")
        assert re.search(rf"@pytest\.mark\.failsafe\((?:.|\n)*?def {name}\(", source)
