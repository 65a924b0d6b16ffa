"""The page shows the newest entries of the app's own log, to an engineer, without secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from device import Device

from edge_app.recent_log import KEPT, RecentLog

log = logging.getLogger("lineside.test-recent")


@pytest.fixture
def heard(device: Device) -> Iterator[RecentLog]:
    """The device's log, with one logger led to it."""
    log.setLevel(logging.DEBUG)
    log.addHandler(device.recent)
    yield device.recent
    log.removeHandler(device.recent)


def test_the_newest_entry_comes_first(heard: RecentLog, device: Device) -> None:
    """Level, logger, time and text of what was logged from INFO on, as many as were asked for."""
    log.debug("too small to be kept")
    for number in range(KEPT + 5):
        log.warning("entry %d", number)

    entries = device.client.get("/api/v1/log?limit=2").get_json()["entries"]

    assert [entry["text"] for entry in entries] == [f"entry {KEPT + 4}", f"entry {KEPT + 3}"]
    assert {(entry["level"], entry["logger"]) for entry in entries} == {("warning", log.name)}
    assert entries[0]["at"] >= entries[1]["at"]
    assert len(heard.latest(10_000)) == KEPT


def test_no_secret_is_told(heard: RecentLog, device: Device) -> None:
    """The setup token and passwords in addresses are blotted out, and long entries cut."""
    log.warning("make the first administrator at /login with %s", "s3cret-token")
    log.error("rtsp://user:pa55word@camera/1 is lost %s", "x" * 5000)

    said = device.client.get("/api/v1/log").text

    assert "s3cret-token" not in said
    assert "pa55word" not in said
    assert all(len(str(entry["text"])) <= 1000 for entry in heard.latest(10))
