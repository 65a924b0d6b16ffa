"""The capture thread: the newest frame wins, a lost camera comes back, nothing old is shown."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera.capture import BACKOFF_MAX_S, Capture, NoFrame, StaleFrame
from camera.frame import Frame
from camera.freshness import Freshness
from camera.sources import SourceLost, Tuning
from camera.sources.folder import FolderSource
from camera.sources.pattern import draw_number, read_number
from edge_app.inference.budget import Deadline


def frame(seq: int, image: Any = None) -> Frame:
    """A frame exposed now."""
    return Frame(seq, time.monotonic(), image=draw_number(seq, 64, 48) if image is None else image)


@pytest.fixture
def watch() -> Iterator[Callable[..., Capture]]:
    """Starts captures that are stopped afterwards."""
    started: list[Capture] = []

    def start(make: Callable[[], Any], **settings: Any) -> Capture:
        started.append(Capture(make, "cam1", **settings))
        started[-1].start()
        return started[-1]

    yield start
    for capture in started:
        capture.stop(within_s=0.1)


def test_the_newest_frame_wins(
    watch: Callable[..., Capture], scripted: Any, until: Callable[..., None]
) -> None:
    """A slow consumer gets the last of many frames, not the next one."""
    capture = watch(lambda: scripted)
    scripted.show(*(frame(seq) for seq in range(1, 101)))
    until(lambda: capture.state().frames == 100)

    newest = capture.newest()
    assert newest is not None
    assert newest.seq == 100


def test_only_a_frame_exposed_after_the_moment_is_given(
    watch: Callable[..., Capture], scripted: Any, until: Callable[..., None]
) -> None:
    """A frame that was there before the trigger is passed over, even if it is read after."""
    capture = watch(lambda: scripted)
    old = frame(1)
    time.sleep(0.01)
    moment = time.monotonic()
    scripted.show(old)
    until(lambda: capture.newest() is not None)
    with pytest.raises(NoFrame):
        capture.exposed_after(moment, Deadline.start(30))
    scripted.show(frame(2))

    assert capture.exposed_after(moment, Deadline.start(5000)).seq == 2


def test_a_loss_is_told_at_once_and_healed(
    watch: Callable[..., Capture], scripted: Any, until: Callable[..., None]
) -> None:
    """Lost: the slot is empty and the state says why; back: live again within two seconds."""
    capture = watch(lambda: scripted)
    scripted.show(frame(1))
    until(lambda: capture.state().state == "live")
    scripted.show(SourceLost("unplugged"))
    until(lambda: capture.state().state == "lost")
    assert capture.newest() is None
    assert "unplugged" in capture.trouble
    with pytest.raises(NoFrame, match="unplugged"):
        capture.exposed_after(time.monotonic(), Deadline.start(5000))
    scripted.show(frame(1))
    began = time.monotonic()
    until(lambda: capture.state().state == "live")

    assert time.monotonic() - began < 2
    assert capture.state().reconnects == 1
    assert scripted.opened == 2


def test_a_long_absence_does_not_make_it_slow(
    watch: Callable[..., Capture], until: Callable[..., None]
) -> None:
    """The pauses between two attempts are capped: a camera is found soon whenever it is back."""
    attempts: list[float] = []

    class Absent:
        on_demand = False

        def open(self) -> None:
            attempts.append(time.monotonic())
            raise SourceLost("not there")

        def close(self) -> None:
            """Nothing is held."""

    watch(Absent)
    until(lambda: len(attempts) >= 6)
    pauses = np.diff(attempts)

    assert pauses.max() <= BACKOFF_MAX_S + 0.3
    assert pauses[0] < 0.3


@pytest.mark.parametrize("broken", ["make", "open", "read", "close"])
def test_a_driver_may_raise_anything_anywhere(
    watch: Callable[..., Capture], until: Callable[..., None], broken: str
) -> None:
    """A driver's own exception is a loss like any other; the thread goes on trying."""
    attempts: list[int] = []

    class Rude:
        on_demand = False

        def open(self) -> None:
            self._may("open")

        def read(self) -> Frame:
            self._may("read")
            if len(attempts) < 2:
                raise SourceLost("once")
            time.sleep(0.01)
            return frame(len(attempts) * 1000 + int(time.monotonic() * 1000) % 100_000)

        def close(self) -> None:
            self._may("close")

        def _may(self, where: str) -> None:
            if broken == where and len(attempts) < 2:
                raise OSError("driver")

    def make() -> Rude:
        attempts.append(1)
        if broken == "make" and len(attempts) < 2:
            raise ValueError("driver")
        return Rude()

    capture = watch(make)
    until(lambda: capture.state().state == "live")


def test_a_repeated_frame_is_not_new(
    watch: Callable[..., Capture], scripted: Any, until: Callable[..., None]
) -> None:
    """The same frame given twice is judged once: afterwards it is stale."""
    capture = watch(lambda: scripted)
    scripted.show(frame(5))
    until(lambda: capture.newest() is not None)
    moment = time.monotonic()
    scripted.show(frame(5), frame(4))
    until(lambda: capture.state().stale == 2)

    with pytest.raises(StaleFrame, match="came after"):
        capture.exposed_after(moment, Deadline.start(20))


def test_a_frozen_picture_is_told_and_thaws(
    watch: Callable[..., Capture], scripted: Any, until: Callable[..., None]
) -> None:
    """The same picture for too long is a frozen camera; a changed one ends it."""
    still = np.zeros((48, 64, 3), np.uint8)
    capture = watch(lambda: scripted, frozen_s=0.05)
    for seq in range(1, 5):
        scripted.show(frame(seq, still))
        time.sleep(0.03)
    until(lambda: capture.state().state == "frozen")
    assert capture.newest() is None
    scripted.show(frame(9))
    until(lambda: capture.state().state == "live")
    assert capture.trouble == ""


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_what_passes_only_ever_goes_forward(steps: list[tuple[int, int]]) -> None:
    """In whatever order frames come, those that pass have rising numbers and times."""
    freshness = Freshness(0)
    passed = [
        (seq, at)
        for seq, at in steps
        if not freshness.fault(Frame(seq, float(at), image=np.zeros((2, 2, 3), np.uint8)))
    ]

    assert passed == sorted(set(passed))
    assert len({seq for seq, _ in passed}) == len(passed)


def test_a_job_sets_the_exposure(watch: Callable[..., Capture], until: Callable[..., None]) -> None:
    """The capture thread itself passes a job's exposure on, before it reads the next frame."""
    seen: list[Tuning] = []

    class Tuned:
        on_demand = False
        seq = 0

        def open(self) -> None:
            """Always there."""

        def read(self) -> Frame:
            time.sleep(0.005)
            self.seq += 1
            return frame(self.seq)

        def close(self) -> None:
            """Nothing is held."""

        def tune(self, tuning: Tuning) -> None:
            seen.append(tuning)

    capture = watch(Tuned)
    until(lambda: seen)
    capture.tune(Tuning(500, 2))
    until(lambda: len(seen) == 2)

    assert seen == [Tuning(), Tuning(500, 2)]


def test_a_folder_is_a_triggered_camera(tmp_path: Any) -> None:
    """Pictures come in the order of their names, over and over; an empty folder is a lost one."""
    source = FolderSource(str(tmp_path))
    with pytest.raises(SourceLost, match="holds no picture"):
        source.open()
    for name in ("b.jpg", "a.jpg", "readme.txt"):
        (tmp_path / name).write_bytes(name.encode())
    source.open()

    assert [source.read().jpeg for _ in range(3)] == [b"a.jpg", b"b.jpg", b"a.jpg"]


@pytest.mark.parametrize("told", [True, False])
def test_a_folder_may_change_meanwhile(
    tmp_path: Any, until: Callable[..., None], *, told: bool
) -> None:
    """A new picture is shown in its turn, soon also where the folder's time tells no change."""
    source = FolderSource(str(tmp_path))
    (tmp_path / "a.jpg").write_bytes(b"a")
    assert source.read().jpeg == b"a"
    before = tmp_path.stat()
    (tmp_path / "b.jpg").write_bytes(b"b")
    if not told:
        os.utime(tmp_path, ns=(before.st_atime_ns, before.st_mtime_ns))

    until(lambda: source.read().jpeg == b"b")
    assert [source.read().jpeg for _ in range(2)] == [b"a", b"b"]


def test_a_part_takes_one_picture_however_often_it_is_asked_for(
    watch: Callable[..., Capture], tmp_path: Any
) -> None:
    """A camera that exposes on demand is asked when the part is fired, and again by who waits."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    capture = watch(lambda: FolderSource(str(tmp_path)))
    seen = []
    for _ in range(3):
        moment = time.monotonic()
        capture.ask(moment)
        seen.append(capture.exposed_after(moment, Deadline(moment, 5000)).jpeg)

    assert seen == [b"a.jpg", b"b.jpg", b"c.jpg"]


@pytest.mark.parametrize("early", [True, False])
def test_an_exposure_on_demand_waits_for_its_moment(
    watch: Callable[..., Capture], tmp_path: Any, *, early: bool
) -> None:
    """A delay after the trigger is kept by cameras that expose when they are asked, too."""
    (tmp_path / "a.jpg").write_bytes(b"a")
    capture = watch(lambda: FolderSource(str(tmp_path)))
    moment = time.monotonic() + 0.2
    if early:
        capture.ask(moment)

    taken = capture.exposed_after(moment, Deadline(time.monotonic(), 5000))

    assert taken.captured_at >= moment
    assert taken.seq == 1


@given(st.integers(0, 2**32 - 1), st.sampled_from([(640, 480), (64, 16), (1920, 1080)]))
def test_the_pattern_carries_its_number(number: int, size: tuple[int, int]) -> None:
    """What is drawn is read back."""
    assert read_number(draw_number(number, *size)) == number
