"""What Prometheus reads."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from device import Device, picture, until
from prometheus_client.parser import text_string_to_metric_families


def read(device: Device) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All samples by name and labels."""
    text = device.client.get("/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(device: Device, name: str, **labels: str) -> float:
    """One sample; 0 if it is not there."""
    return read(device).get((name, frozenset(labels.items())), 0.0)


def test_uploads_are_counted_by_verdict(device: Device) -> None:
    """With their code, and each stage has its histogram."""
    device.client.post("/predict", data=picture())
    device.client.post("/predict", data=picture("blue"))

    assert value(device, "lineside_upload_verdicts_total", verdict="OK", code="0") == 1
    assert value(device, "lineside_upload_verdicts_total", verdict="NG", code="0") == 1
    assert value(device, "lineside_upload_stage_seconds_count", stage="invoke") == 2
    assert value(device, "lineside_upload_seconds_count", model="colours") == 2


def test_requests_are_counted_by_dialect(device: Device) -> None:
    """The status tells good from bad."""
    device.client.post("/predict", data=b"")
    device.client.post("/v1/models/colours:predict", json={})

    assert value(device, "lineside_http_requests_total", dialect="predict", status="400") == 1
    assert value(device, "lineside_http_requests_total", dialect="tfserving", status="400") == 1


def test_refusals_are_counted_by_reason(device: Device) -> None:
    """What the door said."""
    device.model.takes_s = 0.05
    device.client.post("/predict", data=picture())
    device.client.post("/predict", data=picture(), headers={"X-Deadline-Ms": "10"})

    assert value(device, "lineside_upload_refusals_total", reason="busy") == 1


def test_a_name_that_somebody_made_up_makes_no_series(device: Device) -> None:
    """Clients can't fill the monitoring's memory."""
    sizes = []
    for number in range(20):
        device.client.post(f"/predict/made-up-{number}", data=picture())
        device.client.get(f"/made-up-{number}")
        sizes.append(len(read(device)))

    assert sizes[2] == sizes[-1]


def test_what_is_written_is_counted_by_purpose(device: Device) -> None:
    """So that a plant sees which device wears out its card."""
    device.client.post("/predict", data=picture())
    labels = {"program": "app", "purpose": "pictures"}
    until(lambda: value(device, "lineside_written_bytes_total", **labels) > 0)

    assert value(device, "lineside_disk_bytes") > value(device, "lineside_disk_free_bytes") > 0


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
def test_promtool_finds_nothing_to_complain_about(device: Device) -> None:
    """Names, types and help are as Prometheus wants them."""
    device.client.post("/predict", data=picture())
    text = device.client.get("/metrics").data

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )

    assert (checked.returncode, checked.stderr) == (0, b"")
