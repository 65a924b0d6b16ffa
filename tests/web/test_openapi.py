"""The document says what the app does: a stranger's tool reads it and tries to prove it wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from device import Device
from hypothesis import HealthCheck, given, settings

from edge_app.web.openapi import CALLS
from edge_app.web.roles import NEEDS

schemathesis = pytest.importorskip("schemathesis")

OWN = ("native.", "inspections.", "export.", "cameras.", "jobs.", "models.", "people.")


@pytest.fixture(scope="module")
def tried() -> Iterator[Device]:
    """One device for all that is tried."""
    with tempfile.TemporaryDirectory() as folder:
        device = Device(Path(folder)).start()
        device.install()
        yield device
        device.stop()


@pytest.mark.slow
def test_the_app_does_what_the_document_says(tried: Device) -> None:
    """No failure of the app, and every answer as it is described."""
    document = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", tried.app)
    operations = [result.ok() for result in document.get_all_operations()]
    checks = [
        schemathesis.specs.openapi.checks.response_schema_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
    ]

    for operation in operations:

        @settings(
            max_examples=6,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def hold(case: Any) -> None:
            response = case.call()
            assert response.status_code != 500, case.as_curl_command()
            case.validate_response(response, checks=checks)

        hold()

    assert len(operations) > 35


def test_every_route_of_ours_is_described() -> None:
    """What stands in the table of roles stands in the document."""
    own = {endpoint for endpoint in NEEDS if endpoint.startswith(OWN)}

    assert own - CALLS.keys() == set()


def test_the_reference_needs_no_network(device: Device) -> None:
    """A plain page, made of the same document."""
    page = device.client.get("/api/v1/reference").text

    assert "/api/v1/inspections/{inspection_id}/reviews" in page
    assert "http://" not in page
    assert "https://" not in page
