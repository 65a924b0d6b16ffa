"""Devices for the tests of the app."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from device import Device

MEMORY = Path("/dev/shm")  # noqa: S108 - TemporaryDirectory makes the name


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory in memory where there is some: hundreds of fsyncs take their time."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def empty_device(data_dir: Path) -> Iterator[Device]:
    """A device without any model."""
    device = Device(data_dir).start()
    yield device
    device.stop()


@pytest.fixture
def device(empty_device: Device) -> Device:
    """A device whose model is loaded."""
    empty_device.install()
    return empty_device
