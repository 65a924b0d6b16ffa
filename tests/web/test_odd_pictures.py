"""Odd, broken and hostile picture files, uploaded to a running app one after the other.

`scripts/test --slow -k odd_pictures -o log_cli_level=INFO` prints what docs/models.md says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from lone_app import PATIENT, LoneApp, demo_app

import edge_app

ODD = Path(__file__).parents[3] / "shared" / "data" / "photos" / "odd"
DEMO = Path(edge_app.__file__).parent / "demo"
LIMIT_MB, LIMIT_S = 400, 2.0

log = logging.getLogger(__name__)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ODD.is_dir(), reason="needs ../shared/data"),
]


@pytest.fixture(scope="module")
def app() -> Iterator[LoneApp]:
    """A running app with the demo's model."""
    with demo_app() as app:
        yield app


def test_each_is_answered_or_refused_within_bounds(app: LoneApp) -> None:
    """An answer or a 4xx with a sentence; bounded memory and work; the app answers afterwards."""
    good = min((DEMO / "parts").glob("*.jpg")).read_bytes()
    before = app.predict(good)["predicted_class"]
    statuses: dict[int, int] = {}
    worst_mb = worst_s = 0.0
    for path in sorted(ODD.iterdir()):
        app.forget_peak()
        began_s = app.cpu_s()
        headers = {"Content-Type": "application/octet-stream", **PATIENT}
        status, document = app.ask("POST", "/predict", path.read_bytes(), headers)
        took_s, peak_mb = app.cpu_s() - began_s, app.peak_mb()
        said = document["error"]["message"] if "error" in document else document["predicted_class"]
        log.info("| `%s` | %d | %.2f | %.0f | %s |", path.name, status, took_s, peak_mb, said)
        assert status in (200, 400, 413, 415), path.name
        assert "\n" not in said
        assert peak_mb < LIMIT_MB, path.name
        # Work, not time that others of this machine take.
        assert took_s < LIMIT_S, path.name
        statuses[status] = statuses.get(status, 0) + 1
        worst_mb, worst_s = max(worst_mb, peak_mb), max(worst_s, took_s)

    assert app.predict(good)["predicted_class"] == before
    assert sum(statuses.values()) > 60
    log.info("%s; at most %.2f s and %.0f MB", statuses, worst_s, worst_mb)
