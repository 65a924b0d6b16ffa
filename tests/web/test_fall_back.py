"""The active model's file is lost, or proves itself no more: an earlier one runs, or none."""

from __future__ import annotations

import pytest
from device import Device

from edge_app.engines import Engines
from edge_app.inference.acceptance import Proof
from edge_app.inference.interpreter import ModelFailed
from edge_app.room import Room


@pytest.fixture
def engines(device: Device) -> Engines:
    """As the app has them, on a device whose second version is active."""
    device.install(marker="b")
    return started(device)


def started(device: Device) -> Engines:
    """The models of a program that starts now."""
    store = device.store
    engines = Engines(
        store,
        device._load,
        lambda: "colours",
        Room(10_000_000),
        lambda name: store.start(name).version,
    )
    engines.refresh()
    return engines


def test_a_lost_file_lets_the_version_before_run(
    device: Device, engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    """While the app runs, and it is said once, as an error."""
    assert engines.get().version == 2
    device.store.version("colours", 2).path.unlink()

    for _ in range(3):
        engines.refresh()

    assert engines.get().version == 1
    assert device.store.active("colours") == device.store.version("colours", 1)
    said = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert said == [
        "model 'colours' has no active version",
        "model colours went back to version 1",
    ]


def test_a_file_that_was_lost_before_the_start_does_so_too(
    device: Device, engines: Engines
) -> None:
    """A start finds the version that ran before."""
    assert engines.get().version == 2
    device.store.version("colours", 2).path.unlink()

    assert started(device).get().version == 1


def test_on_a_read_only_disk_the_version_before_runs_all_the_same(
    device: Device, engines: Engines
) -> None:
    """The link can't be turned back, and the version that failed is not run for that."""
    assert engines.get().version == 2
    first = device.store.version("colours", 1)
    later = Engines(
        device.store, device._load, lambda: "colours", Room(10_000_000), lambda _: first
    )

    for _ in range(3):
        later.refresh()

    assert device.store.active("colours") == device.store.version("colours", 2)
    assert later.get().version == 1


def test_a_model_that_proves_itself_no_more_never_runs(device: Device, engines: Engines) -> None:
    """However often the app looks; activated again, it has proved itself and runs."""
    assert engines.get().version == 2
    device.store._prove = lambda *_, **__: Proof("it answers differently")

    later = started(device)
    for _ in range(3):
        later.refresh()
        with pytest.raises(ModelFailed, match="no version of model colours can run here"):
            later.get()
    assert "no version" in later.problem()

    device.store._prove = lambda *_, **__: Proof("")
    device.store.activate("colours", 2, measure=False)
    later.refresh()
    assert later.get().version == 2
