"""Disks that are full, read-only or fail under a plant at work: inspecting goes on."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from audit import Books
from cuts import free_ports
from disk import Disk
from plant import Ack, Plant, make_plant

from edge_app.inference.judge import Code

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0
        or not Path("/dev/fuse").exists()
        or not Path("/dev/loop-control").exists(),
        reason="needs root, FUSE and loop devices",
    ),
]

WITHIN_S = 20.0
PARTS = 10
SIZE = 128 << 20


class Site:
    """A plant at work on a disk of its own."""

    def __init__(self, folder: Path, *, journal: bool = True) -> None:
        self.disk = Disk(folder, SIZE, journal=journal)
        ports = free_ports(2)
        (folder / "run").mkdir()
        self.data_dir, self.run_dir = self.disk.path / "data", folder / "run"
        make_plant(self.data_dir, *ports)
        self.plant = Plant(self.data_dir, folder / "run", *ports, random.Random(1))  # noqa: S311

    def start(self, life: int = 0) -> None:
        """Plug it in, and wait for its first answers and for what they say of themselves."""
        self.plant.start(life)
        self.plant.wait_ready()
        self.until(lambda: self.plant.status()["lines"]["cam1"]["status"])

    def close(self) -> None:
        """Leave nothing."""
        self.disk.failing = False
        if self.plant.runs:
            self.plant.pull()
        self.disk.close()

    def until(self, look: Callable[[], object]) -> None:
        """Wait until something is so."""
        ends_at = time.monotonic() + WITHIN_S
        while not look():
            assert time.monotonic() < ends_at, f"it did not come: {self.said()}"
            time.sleep(0.05)

    def told(self, sentence: str) -> int:
        """How often the line's log says it."""
        return (self.run_dir / "camera.log").read_text().count(sentence)

    def line(self) -> dict[str, Any]:
        """What the line says of itself."""
        found: dict[str, Any] = self.plant.status()["lines"]["cam1"]["status"]
        return found

    def said(self) -> dict[str, object]:
        """All that is said about the disk."""
        status, line = self.plant.status(), self.line()
        return {
            "warning": line["warning"],
            "line": line["records"]["failing"],
            "waiting": line["records"]["waiting"],
            "app": status["records"],
            "pictures": line["pictures"],
        }

    def refused(self) -> bool:
        """Whether line and app both say that their records are not kept."""
        said = self.said()
        return bool(said["warning"] == Code.STORAGE and said["line"] and said["app"] != "ok")

    def kept(self) -> bool:
        """Whether all is well again, and nothing waits."""
        said = self.said()
        well = said["warning"] != Code.STORAGE and said["app"] == "ok"
        return well and not said["waiting"]

    def judges(self, *cameras: str) -> None:
        """Wait for some more judged parts of line and app."""
        begun = len(self.plant.told.acks)

        def judged(camera: str) -> list[Ack]:
            acks = self.plant.told.acks[begun:]
            return [ack for ack in acks if ack.camera == camera and decided(ack)]

        wanted = cameras or ("cam1", "upload")
        self.until(lambda: min(len(judged(camera)) for camera in wanted) > PARTS)

    def audit(self) -> Books:
        """Pull the plug; all that was told against what is on the disk."""
        cut_at = self.plant.pull()
        books = Books()
        books.take(self.plant.told)
        books.look(self.data_dir, self.plant.told, cut_at, synced=False)
        return books


def decided(ack: Ack) -> bool:
    """Whether somebody looked at the part."""
    return ack.decision in ("OK", "NG", "REVIEW")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Installed, not yet started."""
    site = Site(tmp_path)
    yield site
    site.close()


def hold(site: Site) -> None:
    """Every answer has its one record, with its id, and no photograph was judged in two ways."""
    books = site.audit()
    assert books.faults == []
    assert books.counts["answers compared with their record"] == books.counts["answers"]
    assert {len(decisions) for decisions in site.plant.told.photos.values()} == {1}


def test_a_full_disk_stops_nothing(site: Site) -> None:
    """It is said once that it is full and once that it is good, and no record is missing."""
    site.start()
    site.disk.fill()
    site.until(site.refused)
    site.judges()

    assert "the disk is full" in str(site.said()["line"])
    assert "make room" in str(site.said()["line"])
    site.disk.filling.unlink()
    site.until(site.kept)
    site.judges()
    hold(site)
    assert site.told("records are kept in memory") == 1
    assert site.told("the disk takes records again") == 1


def test_a_read_only_disk_stops_nothing(site: Site) -> None:
    """Programs start on it and judge; what they judged is written when it can be written."""
    site.start()
    site.plant.pull()
    site.disk.remount("ro")
    site.start(1)
    site.until(site.refused)
    site.judges()

    assert "read-only" in str(site.said()["line"])
    assert "mount it writable" in str(site.said()["line"])
    site.disk.remount("rw")
    site.until(site.kept)
    site.judges()
    hold(site)


@pytest.mark.failsafe(
    "disk gives I/O errors",
    "the decision, with code 50; Warning bit",
    "a tenth of the deadline longer",
    "kept in memory, with what was not synced; written when a disk is mounted there again",
    "by itself, after the mount",
)
@pytest.mark.parametrize("journal", [True, False], ids=["journal", "no journal"])
def test_a_disk_that_fails_stops_nothing(tmp_path: Path, journal: bool) -> None:
    """Each write is an error: also what was committed and not synced is there after a mount."""
    site = Site(tmp_path, journal=journal)
    try:
        site.start()
        site.disk.failing = True
        site.until(site.refused)
        site.judges()
        assert "the disk fails" in str(site.said()["line"])
        assert "check it and mount it again" in str(site.said()["line"])

        site.disk.failing = False
        site.until(site.disk.unmount)
        site.judges("cam1")
        site.disk.mount()
        site.until(site.kept)
        site.judges()
        hold(site)
    finally:
        site.close()
