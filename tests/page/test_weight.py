"""What a first visit to each view loads: little enough for a small computer's own browser."""

from __future__ import annotations

from typing import Any

import pytest
from window import Station

from edge_app.inference.judge import Decision
from edge_app.jobs import Job, JobStore
from edge_app.web.feed import KEPT
from edge_app.web.page import VIEWS

pytestmark = pytest.mark.slow  # a real browser

MOST_BYTES = 250_000
PHOTOGRAPHS = ("image/jpeg", "image/png")


def test_a_first_visit_to_any_view_is_light(look: Any, station: Station) -> None:
    """With as many records as a view shows, no view loads 250 kB besides photographs."""
    for number in range(KEPT):
        newest = station.line.part(Decision.OK, f"P{number}")
    JobStore(station.device.data_dir / "jobs").save(Job(1, "Colours", "colours"))

    weights = {
        path: weight(look(), path)
        for path in [*(path for _, path in VIEWS), f"/records/{newest.id}", "/panel", "/login"]
    }

    assert {path: bytes_ for path, bytes_ in weights.items() if bytes_ >= MOST_BYTES} == {}
    assert weights["/"] > KEPT * 400  # the records were among it


def weight(looker: Any, path: str) -> int:
    """Bytes on the wire, heads too, of a visit with an empty cache and a second of looking."""
    finished: list[Any] = []
    looker.page.on("requestfinished", lambda request: finished.append(request))  # noqa: PLW0108 - Playwright marks what it is given
    looker.open(path).wait_for_timeout(1000)
    total = 0
    for request in finished:
        kind = request.response().headers.get("content-type", "")
        sizes = request.sizes()
        if kind not in PHOTOGRAPHS:
            total += sizes["responseBodySize"] + sizes["responseHeadersSize"]
    return total
