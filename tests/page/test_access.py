"""Everyone can use it: axe-core's rules, keyboards, and both themes."""

from __future__ import annotations

from typing import Any

import pytest
from window import PHONE, Station

from edge_app.inference.judge import Decision
from edge_app.jobs import Job, JobStore
from edge_app.web.page import VIEWS

pytestmark = pytest.mark.slow  # a real browser

axe_playwright = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs the package axe-playwright-python"
)
SETTLING = ("/models", "/jobs")
"""Views that draw themselves from what they ask for, and then ask no more."""

PATHS = [path for _, path in VIEWS]


CONTRAST = {"runOnly": ["color-contrast"]}
"""Of all rules the only one that the theme decides."""


def test_axe_finds_nothing_serious(look: Any, station: Station) -> None:
    """No view has a serious or critical finding, in either theme."""
    for decision in Decision:
        newest = station.line.part(decision)
    JobStore(station.device.data_dir / "jobs").save(Job(1, "Colours", "colours"))
    looker = look(color_scheme="light")
    for path in [*PATHS, f"/records/{newest.id}", "/panel", "/login"]:
        page = looker.open(path)
        page.wait_for_load_state("networkidle" if path in SETTLING else "load")

        assert serious(page) == [], path
        page.emulate_media(color_scheme="dark")
        assert serious(page, CONTRAST) == [], path
        page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("decision", list(Decision))
def test_axe_finds_nothing_serious_in_any_verdict(
    look: Any, station: Station, decision: Decision
) -> None:
    """Each verdict's field can be read, on a phone too."""
    station.line.part(decision)
    page = look(viewport=PHONE).open()
    page.locator(f"#verdict[data-verdict={decision}]").wait_for()

    assert serious(page) == []


def test_the_keyboard_reaches_the_filmstrip(look: Any, station: Station) -> None:
    """A part is looked at and let go again without any pointer."""
    station.line.part(Decision.NG)
    page = look().open()
    page.locator(".tile").focus()
    page.keyboard.press("Enter")
    page.locator("#frozen-bar").wait_for(state="visible")

    page.keyboard.press("Escape")

    page.locator("#frozen-bar").wait_for(state="hidden")


def serious(page: Any, options: dict[str, Any] | None = None) -> list[str]:
    """What axe-core finds serious or critical, with the places."""
    found = axe_playwright.Axe().run(page, options=options).response["violations"]
    return [
        f"{finding['id']}: {node['target']} {node['failureSummary'][:300]}"
        for finding in found
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]
