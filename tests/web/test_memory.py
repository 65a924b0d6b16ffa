"""Several models within a memory limit: who goes, who stays, who is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from device import Device, picture, until

KB = 1000
LIMIT_BYTES = 100 * KB


@pytest.fixture
def device(data_dir: Path) -> Iterator[Device]:
    """A device with 100 kB for models; the default one takes 20 before any tensors."""
    device = Device(data_dir, models_bytes=LIMIT_BYTES).start()
    device.install("colours", size=20 * KB)
    device.engines.start()
    yield device
    device.stop()
    device.engines.stop()


def ask(device: Device, name: str) -> Any:
    """Have a model judge a picture."""
    return device.client.post(f"/predict/{name}", data=picture())


def in_memory(device: Device) -> set[str]:
    """The models that the status shows."""
    models = device.client.get("/api/v1/status").get_json()["models"]
    return {model["name"] for model in models}


def test_the_one_unused_for_longest_goes(device: Device) -> None:
    """A third one beside the default one pushes out the one not asked since."""
    for name in ("early", "late", "next"):
        device.install(name, size=24 * KB)
    for name in ("early", "late", "early", "next"):
        assert ask(device, name).status_code == 200

    assert in_memory(device) == {"colours", "early", "next"}


def test_the_default_model_never_goes(device: Device) -> None:
    """It stays though it is the one unused for longest; one that went comes back when asked."""
    for name in ("one", "two"):
        device.install(name, size=40 * KB)
    for name in ("one", "two", "one", "two"):
        assert ask(device, name).status_code == 200
        assert "colours" in in_memory(device)


def test_as_many_go_as_it_takes(device: Device) -> None:
    """A large one pushes out two small ones."""
    for name, size in (("one", 20), ("two", 20), ("large", 39)):
        device.install(name, size=size * KB)
    device.model.tensor_bytes = 0
    for name in ("one", "two"):
        assert ask(device, name).status_code == 200
    device.model.tensor_bytes = 30 * KB

    answer = ask(device, "large")

    assert answer.status_code == 200, answer.get_json()
    assert in_memory(device) == {"colours", "large"}


@pytest.mark.parametrize(("size", "tensor_bytes"), [(60 * KB, 0), (10 * KB, 90 * KB)])
def test_one_that_can_never_fit_is_refused(device: Device, size: int, tensor_bytes: int) -> None:
    """By its file before it is loaded, or by its tensors after; the sentence has the sizes."""
    device.install("huge", size=size)
    device.model.tensor_bytes = tensor_bytes

    answer = ask(device, "huge")

    assert answer.status_code == 503
    assert answer.get_json()["error"]["code"] == "model_failed"
    assert answer.get_json()["error"]["message"] == (
        f"model huge takes about {max(2 * size, size + tensor_bytes) / 1e6:.1f} MB; "
        "models_max_mb = 0.1 leaves 0.1 MB beside the default model"
    )
    assert in_memory(device) == {"colours"}


def test_a_default_model_beyond_the_limit_is_kept(data_dir: Path) -> None:
    """A device that can't answer `/predict` is of no use."""
    device = Device(data_dir, models_bytes=LIMIT_BYTES).start()
    device.install("colours", size=3 * LIMIT_BYTES)

    assert device.client.post("/predict", data=picture()).status_code == 200
    device.stop()


def test_one_that_is_at_work_stays(device: Device) -> None:
    """The newcomer is told to come again, and gets its place when the work is done."""
    for name in ("working", "newcomer"):
        device.install(name, size=40 * KB)
    assert ask(device, "working").status_code == 200
    loaded = device.engines.peek("working")
    assert loaded is not None
    device.model.go_on.clear()
    work = threading.Thread(target=ask, args=(device, "working"))
    work.start()
    until(lambda: loaded.engine.busy)

    answer = ask(device, "newcomer")

    assert answer.status_code == 503
    assert answer.get_json()["error"]["code"] == "loading"
    assert "Retry-After" in answer.headers
    assert in_memory(device) == {"colours", "working"}
    device.model.go_on.set()
    work.join()
    assert ask(device, "newcomer").status_code == 200
    assert in_memory(device) == {"colours", "newcomer"}
