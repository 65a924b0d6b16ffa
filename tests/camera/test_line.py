"""The inspection loop: whatever goes wrong, the answer is on time, final, and never OK."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from camera.capture import Capture
from camera.frame import Frame
from camera.health import Doctor
from camera.plc.http import line_status
from camera.plc.record import PlcDecision, Status
from camera.sources import SourceLost
from camera.sources.pattern import PatternSource, read_number
from edge_app.inference.judge import Code, Decision
from edge_app.inference.preprocess import Roi
from edge_app.models import StoreError
from edge_app.records.inspection import Inspection
from edge_app.vitals import Vitals

BRIGHT = np.full((48, 64, 3), 220, np.uint8)
DARK = np.full((48, 64, 3), 10, np.uint8)


def frame(seq: int, image: Any = BRIGHT, jpeg: bytes | None = None) -> Frame:
    """A frame exposed now."""
    if jpeg is not None:
        return Frame(seq, time.monotonic(), jpeg=jpeg)
    return Frame(seq, time.monotonic(), image=image)


def recorded(rig: Any, inspection_id: int) -> Inspection:
    """What the records say, once they say something."""
    end = time.monotonic() + 5
    found = None
    while found is None and time.monotonic() < end:
        found = rig.with_database(lambda database: database.inspection(inspection_id))
    assert isinstance(found, Inspection)
    return found


def test_a_request_of_the_app_is_named_in_the_record(rig: Callable[..., Any]) -> None:
    """A trigger from the page has its request's id; one of the PLC has none."""
    line = rig(source=Shower(frame)).start()
    status, fired = line.tell("POST", "/trigger?request_id=order-4711")
    by_plc = line.fire(17)

    assert status == 200
    assert recorded(line, fired["id"]).request_id == "order-4711"
    assert recorded(line, by_plc.id).request_id == ""


class Shower:
    """A camera that always shows the same thing, at 100 Hz."""

    on_demand = False

    def __init__(self, make: Callable[[int], Frame]) -> None:
        self._make = make
        self._seq = 0

    def open(self) -> None:
        """Always there."""

    def read(self) -> Frame:
        """The next one."""
        time.sleep(0.01)
        self._seq += 1
        return self._make(self._seq)

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(("image", "decision"), [(BRIGHT, PlcDecision.OK), (DARK, PlcDecision.NG)])
def test_a_part_goes_the_whole_way(
    rig: Callable[..., Any], image: Any, decision: PlcDecision
) -> None:
    """Trigger, frame, model, judgement, answer and record agree."""
    line = rig(source=Shower(lambda seq: frame(seq, image))).start()
    record = line.fire(17, part="AB12")

    assert (record.n, record.decision, record.code, record.job) == (17, decision, 0, 1)
    row = recorded(line, record.id)
    assert (row.part, row.trigger, row.source, row.job_crc) == ("AB12", 17, "plc", 1)
    assert PlcDecision.of(row.decision) is decision


def test_laps_add_up_to_the_total(rig: Callable[..., Any]) -> None:
    """The stages' milliseconds are the whole time, within one."""
    line = rig().start()
    for n in range(1, 8):
        row = recorded(line, line.fire(n).id)
        assert sum(row.laps_ms.values()) == pytest.approx(row.total_ms, abs=1)
        assert {"queue", "frame", "preprocess", "invoke", "judge"} <= row.laps_ms.keys()


@pytest.mark.failsafe(
    "the model stalls",
    "decision 4, code 23; the next triggers code 20; heartbeat stands still",
    "the deadline",
    "NONE, code 23; the verdict that came later as late",
    "by itself when the model returns; the service watchdog restarts a line that stays stuck",
)
def test_a_stalled_model_is_answered_on_time(
    rig: Callable[..., Any], until: Callable[..., None]
) -> None:
    """A stall of seconds: code 23 at the deadline, for ever; the late verdict is only recorded."""
    line = rig(deadline_ms=200.0).start()
    stalled, go_on = threading.Event(), threading.Event()

    def stall() -> None:
        stalled.set()
        go_on.wait(10)

    line.eyes.before = stall
    began = time.monotonic()
    record = line.fire(17, part="A")
    spent_s = time.monotonic() - began

    assert (record.decision, record.code, record.ms) == (PlcDecision.NONE, Code.DEADLINE, 200)
    assert 0.19 <= spent_s < 0.4
    assert stalled.is_set()
    assert line.fire(18).code == Code.BUSY
    row = recorded(line, record.id)
    assert (row.decision, row.code) == (Decision.NONE, Code.DEADLINE)
    line.eyes.before = lambda: None
    time.sleep(1.0)
    go_on.set()
    until(lambda: line.station.ready)

    again = line.fire(17, part="A")
    assert (again.id, again.decision, again.code) == (record.id, PlcDecision.NONE, 23)
    assert line.ask("/plc/result?n=17").decision is PlcDecision.NONE
    until(lambda: recorded(line, record.id).late_decision)
    row = recorded(line, record.id)
    assert (row.decision, row.late_decision) == (Decision.NONE, "OK")
    assert row.late_ms > 1000
    assert (line.station.shift.ok, line.station.shift.none) == (0, 1)
    assert line.fire(19).decision is PlcDecision.OK


@pytest.mark.failsafe(
    "the model raises",
    "decision 4, code 99 (40 where the runtime itself gives up)",
    "at once",
    "NONE with the error",
    "the next part",
)
def test_a_model_that_raises_is_no_decision(rig: Callable[..., Any]) -> None:
    """One part's misfortune is not the next one's."""
    line = rig().start()

    def fail() -> None:
        raise RuntimeError("bus error")

    line.eyes.before = fail
    record = line.fire(1)
    assert (record.decision, record.code) == (PlcDecision.NONE, Code.INTERNAL)
    line.eyes.before = lambda: None
    assert line.fire(2).decision is PlcDecision.OK


@pytest.mark.failsafe(
    "a frame is no picture",
    "decision 4, code 31",
    "at once",
    "NONE, code 31",
    "the next whole frame",
)
@pytest.mark.parametrize("content", [b"", b"\xff\xd8 not a picture", b"\x00" * 5000])
def test_a_garbage_frame_is_no_decision(rig: Callable[..., Any], content: bytes) -> None:
    """Bytes that are no picture are code 31."""
    line = rig(source=Shower(lambda seq: frame(seq, jpeg=content))).start()
    record = line.fire(1)

    assert (record.decision, record.code) == (PlcDecision.NONE, Code.BAD_IMAGE)


@pytest.mark.failsafe(
    "camera gone",
    "decision 4, code 30; Error bit; no live picture",
    "at once",
    "NONE, code 30",
    "opened again within a second after its return, for ever",
)
def test_a_dead_camera_is_no_decision(rig: Callable[..., Any], scripted: Any) -> None:
    """A camera that is lost is code 30 at once, shown as Error, and never its last picture."""
    line = rig(source=scripted)
    line.start(wait_for_frame=False)
    scripted.show(frame(1), *[SourceLost("unplugged")] * 200)
    while line.line.capture.state().state != "lost":
        time.sleep(0.005)
    began = time.monotonic()
    record = line.fire(1)

    assert (record.decision, record.code) == (PlcDecision.NONE, Code.NO_FRAME)
    assert time.monotonic() - began < 1
    assert Status(record.status) & Status.ERROR
    assert line.tell("GET", "/live.jpg")[0] == 503


@pytest.mark.failsafe(
    "camera silent, its driver says nothing",
    "decision 4, code 30",
    "0.9 of the deadline",
    "NONE, code 30",
    "as above; a hanging driver is killed",
)
def test_a_silent_camera_is_no_decision(rig: Callable[..., Any], scripted: Any) -> None:
    """A camera that hangs without an error is code 30, before the deadline takes it."""
    line = rig(source=scripted, deadline_ms=1000.0)
    line.start(wait_for_frame=False)
    scripted.show(frame(1))
    record = line.fire(1)

    assert (record.decision, record.code) == (PlcDecision.NONE, Code.NO_FRAME)


@pytest.mark.failsafe(
    "camera frozen, or frames repeated or out of order",
    "decision 4, code 32; Error bit when frozen",
    "0.9 of the deadline",
    "NONE, code 32",
    "the next frame that is new",
)
@pytest.mark.parametrize("fault", ["repeated", "reordered", "frozen"])
def test_what_is_not_new_is_no_decision(rig: Callable[..., Any], fault: str) -> None:
    """Repeated, reordered and frozen pictures are code 32."""
    source = {
        "repeated": Shower(lambda _: frame(1)),
        "reordered": Shower(lambda seq: frame(10_000 - seq)),
        "frozen": Shower(lambda seq: frame(seq, BRIGHT)),
    }[fault]
    line = rig(source=source, frozen_s=0.3 if fault == "frozen" else 0.0, deadline_ms=1000.0)
    line.start()
    time.sleep(0.5)
    record = line.fire(1)

    assert (record.decision, record.code) == (PlcDecision.NONE, Code.STALE_FRAME)


def test_the_frame_is_exposed_after_the_trigger(rig: Callable[..., Any]) -> None:
    """A bright part was there before the trigger, a dark one after: the dark one is judged."""
    now_dark = threading.Event()
    source = Shower(lambda seq: frame(seq, DARK if now_dark.is_set() else BRIGHT))
    line = rig(source=source).start()
    until_seen = line.line.capture.newest()
    assert until_seen is not None
    now_dark.set()
    time.sleep(0.012)

    assert line.fire(1).decision is PlcDecision.NG


def test_no_frame_is_judged_for_two_parts(rig: Callable[..., Any]) -> None:
    """A trigger that arrived before the last part's exposure still gets a frame of its own."""
    line = rig(source=PatternSource(640, 480, 5)).start()
    early = time.monotonic()
    line.fire(1)
    first = read_number(line.line.last_picture[1])
    shot = line.station.fire("plc", n=2, arrived_at=early)
    assert line.station.wait(shot, shot.deadline.ends_at) is not None

    assert read_number(line.line.last_picture[1]) > first


@pytest.mark.failsafe(
    "camera slow: frames arrive long after their exposure",
    "decision 4, code 30 or 32",
    "0.9 of the deadline",
    "NONE",
    "when frames are fresh again",
)
def test_an_old_frame_is_not_judged(rig: Callable[..., Any]) -> None:
    """A source that is far behind is code 30 or 32, never judged."""

    def behind(seq: int) -> Frame:
        return Frame(seq, time.monotonic() - 1.0, image=BRIGHT)

    line = rig(source=Shower(behind), deadline_ms=1000.0).start()
    record = line.fire(1)

    assert record.decision is PlcDecision.NONE
    assert record.code in (Code.NO_FRAME, Code.STALE_FRAME)


@pytest.mark.failsafe(
    "job or model missing at the start",
    "decision 4, code 41 or 42; Error bit",
    "at once",
    "NONE, code 41 or 42",
    "load a job that is there",
)
def test_without_any_job_nothing_is_ok(rig: Callable[..., Any]) -> None:
    """A missing job is code 41, a missing model 42; the line stays up and says so."""
    line = rig(jobs={}).start()
    record = line.fire(1)
    assert (record.decision, record.code) == (PlcDecision.NONE, Code.UNKNOWN_JOB)
    assert Status(record.status) & Status.ERROR
    assert "no job 1" in line.tell("GET", "/status")[1]["fault"]

    def no_model() -> Any:
        raise StoreError("model caps has no active version")

    line.jobs = {1: no_model}
    line.line.load_job(1)
    while line.line.loading:
        time.sleep(0.005)
    assert line.fire(2).code == Code.JOB_FAILED


def test_a_region_outside_the_picture_is_no_decision(
    rig: Callable[..., Any], make_job: Callable[..., Any], eyes: Any
) -> None:
    """A job that looks beside the picture never passes a part."""
    job = make_job(1, eyes, roi=Roi(600, 400, 300, 300))
    line = rig(jobs={1: lambda: job}).start()

    assert line.fire(1).decision is PlcDecision.NONE


def test_the_worst_of_several_pictures_decides(
    rig: Callable[..., Any], make_job: Callable[..., Any], eyes: Any
) -> None:
    """Three pictures of one part, some of them dark: NG, one answer, one record."""
    job = make_job(1, eyes, shots=3, interval_ms=20)

    def some_dark(seq: int) -> Frame:
        # Mixed, so that no rhythm of the three can miss the dark ones.
        return frame(seq, DARK if seq * 2_654_435_761 >> 16 & 1 else BRIGHT)

    line = rig(source=Shower(some_dark), jobs={1: lambda: job}).start()
    decisions = [line.fire(n).decision for n in range(1, 9)]

    assert PlcDecision.NG in decisions
    assert line.station.shift.total == 8
    assert eyes.invokes >= 3 * 8


def test_the_exposure_waits_for_the_part(
    rig: Callable[..., Any], make_job: Callable[..., Any], eyes: Any
) -> None:
    """A job's delay is kept: the frame is exposed that much after the trigger."""
    job = make_job(1, eyes, delay_ms=150)
    line = rig(jobs={1: lambda: job}).start()
    row = recorded(line, line.fire(1).id)

    assert row.laps_ms["queue"] + row.laps_ms["frame"] >= 149


def test_a_job_change_takes_at_most_one_part(
    rig: Callable[..., Any], make_job: Callable[..., Any], eyes: Any
) -> None:
    """A preloaded job is in force at once; Ready is low meanwhile."""
    loads: list[int] = []

    def job(number: int) -> Callable[[], Any]:
        def load() -> Any:
            loads.append(number)
            time.sleep(0.3)
            return make_job(number, eyes)

        return load

    line = rig(jobs={n: job(n) for n in (1, 2, 3)}, preload=(1, 2)).start()
    while line.line.loader.preloaded != [1, 2]:
        time.sleep(0.005)
    began = time.monotonic()
    record = line.ask("/plc/job?id=2")
    assert record.code == Code.JOB_LOADING
    assert not Status(record.status) & Status.READY
    while line.station.job != 2:
        time.sleep(0.001)

    assert time.monotonic() - began < 0.25
    assert (line.fire(1, job=2).job, loads) == (2, [1, 2])
    assert line.fire(2, job=1).code == Code.UNKNOWN_JOB


@pytest.mark.failsafe(
    "a job that can not be loaded is asked for",
    "the old job judges on; Last command failed",
    "the next part",
    "parts of the old job",
    "load another, or clear the error",
)
def test_a_failed_load_keeps_the_old_job(rig: Callable[..., Any]) -> None:
    """An unknown job: the old one judges on, and the status says that the command failed."""
    line = rig().start()
    line.ask("/plc/job?id=77")
    while line.line.loading:
        time.sleep(0.005)
    record = line.fire(1)

    assert (record.decision, record.job) == (PlcDecision.OK, 1)
    assert Status(record.status) & Status.COMMAND_FAILED
    assert "no job 77" in line.tell("GET", "/status")[1]["fault"]
    assert not Status(line.ask("/plc/reset?what=error").status) & Status.COMMAND_FAILED


@pytest.mark.failsafe(
    "jobs change while parts come",
    "Ready low, code 12 meanwhile; job and CRC in each answer are those that judged",
    "one part when preloaded",
    "each part with its own job and CRC",
    "by itself",
)
def test_a_part_is_judged_by_the_job_it_was_fired_under(
    rig: Callable[..., Any], make_job: Callable[..., Any], eyes: Any
) -> None:
    """Jobs are switched under fire: the record's job is always the one that judged."""
    line = rig(
        jobs={n: lambda n=n: make_job(n, eyes) for n in (1, 2)},  # type: ignore[misc]  # default argument
        preload=(1, 2),
    ).start()
    done = threading.Event()

    def switch() -> None:
        number = 1
        while not done.is_set():
            number = 3 - number
            line.line.load_job(number)
            time.sleep(0.003)

    switcher = threading.Thread(target=switch)
    switcher.start()
    try:
        records = [line.fire(n) for n in range(1, 40)]
    finally:
        done.set()
        switcher.join()
    for record in records:
        if record.id:
            row = recorded(line, record.id)
            assert (row.job, row.job_crc) == (record.job, record.job)


@pytest.mark.failsafe(
    "restart",
    "counters go on where they were",
    "-",
    "nothing",
    "by itself",
)
def test_counters_survive_a_restart_exactly(rig: Callable[..., Any]) -> None:
    """OK, NG, none, missed: what was counted is there after a restart, also after a reset."""
    line = rig().start()
    for n in range(1, 6):
        line.fire(n)
    line.reset = line.ask("/plc/reset?what=counters")
    line.fire(6)
    line.station.close(Code.OFFLINE, "set offline")
    assert line.fire(7).code == Code.OFFLINE
    shift, life = line.station.counters()
    line.stop()

    kept_shift, kept_life = line.kept()
    assert (kept_shift.total, kept_shift.missed) == (shift.total, shift.missed) == (1, 1)
    assert (kept_life.total, kept_life.missed) == (life.total, life.missed) == (6, 1)


@pytest.mark.failsafe(
    "disk slow or locked",
    "the decision, with code 50",
    "a tenth of the deadline longer",
    "kept in memory and written when the disk is back",
    "by itself",
)
def test_a_disk_that_fails_stops_nothing(
    rig: Callable[..., Any], caplog: pytest.LogCaptureFixture, until: Callable[..., None]
) -> None:
    """With the records locked: answers on time with warning 50, rows there when it is over."""
    line = rig(deadline_ms=1000.0).start()
    line.fire(1)
    blocker = sqlite3.connect(line.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with caplog.at_level(logging.ERROR):
        record = line.fire(2)
    blocker.execute("ROLLBACK")
    blocker.close()

    assert (record.decision, record.code) == (PlcDecision.OK, Code.STORAGE)
    until(lambda: line.with_database(lambda database: database.inspection(record.id)))


@pytest.mark.failsafe(
    "the inspection loop hangs",
    "heartbeat stands still; parts get code 23, then 20",
    "0.1 s",
    "NONE",
    "the service watchdog restarts it",
)
def test_the_heartbeat_stops_with_the_loop(rig: Callable[..., Any]) -> None:
    """It beats ten times a second while the loop turns, and not while the model hangs."""
    line = rig(deadline_ms=200.0).start()
    before = line.line.beat
    time.sleep(1.0)
    assert 6 <= line.line.beat - before <= 11
    go_on = threading.Event()
    line.eyes.before = lambda: go_on.wait(10) and None
    line.fire(1)
    stuck = line.line.beat
    time.sleep(0.4)
    assert line.line.beat == stuck
    go_on.set()


def test_free_run_fires_by_itself(rig: Callable[..., Any], until: Callable[..., None]) -> None:
    """A free-running line inspects at its rate, numbered by the device."""
    line = rig(free_run_hz=20.0).start()
    until(lambda: line.station.shift.total >= 5)

    assert line.station.last_answered().source == "free"
    assert line.station.shift.missed == 0


@pytest.mark.failsafe(
    "SIGTERM",
    "the part in work gets its answer; later triggers code 11, then no connection",
    "2 s",
    "the part as it was decided",
    "the service manager starts it again",
)
def test_sigterm_finishes_the_part_in_work(rig: Callable[..., Any]) -> None:
    """A shot that was fired before the stop is answered; one after is refused."""
    line = rig().start()
    slow = threading.Event()
    line.eyes.before = lambda: slow.wait(0.3) and None
    answers: list[Any] = []
    plc = threading.Thread(target=lambda: answers.append(line.fire(1)))
    plc.start()
    while not line.station.busy:
        time.sleep(0.001)
    line.line.stop()
    line.thread.join(5)
    plc.join()

    assert answers[0].decision is PlcDecision.OK
    assert line.fire(2).code == Code.OFFLINE


def test_status_bits_tell_what_is(rig: Callable[..., Any]) -> None:
    """Ready, online, no result before the first part; pass and fail never together."""
    line = rig().start()
    status = line_status(line.line)
    assert Status.READY | Status.ONLINE in status
    assert not status & (Status.PASS | Status.FAIL | Status.RESULTS_VALID | Status.ERROR)
    status = Status(line.fire(1).status)
    assert Status.PASS | Status.RESULTS_VALID in status
    assert not status & Status.FAIL


def test_the_control_socket_fires_and_tells(rig: Callable[..., Any]) -> None:
    """The page's trigger is answered with its verdict; status and live picture are there."""
    line = rig().start()
    status, shot = line.tell("POST", "/trigger?part=hand&test=1")

    assert (status, shot["verdict"], shot["part"], shot["test"]) == (200, "OK", "hand", True)
    assert line.tell("GET", "/status")[1]["shift"]["total"] == 0
    assert line.tell("GET", "/live.jpg")[1].startswith(b"\xff\xd8")
    assert line.tell("POST", "/job?number=0")[0] == 400
    assert line.tell("POST", "/reset?who=anna")[1]["closed"]["total"] == 0
    assert line.tell("GET", "/nothing")[0] == 404


def test_a_camera_region_and_rotation_come_before_the_job(rig: Callable[..., Any]) -> None:
    """The picture people and jobs see is cut, then turned."""
    line = rig(roi=Roi(0, 0, 640, 60), rotation=90).start()
    line.fire(1)
    picture = line.tell("GET", "/live.jpg")[1]

    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[:2] == (640, 60)
    assert line.line.last_picture[1].shape[:2] == (640, 60)


def test_a_capture_without_frames_has_no_age() -> None:
    """Before the first frame there is nothing to be old."""
    capture = Capture(lambda: PatternSource(64, 48, 10), "cam1")

    assert capture.state().age_ms is None
    assert capture.newest() is None
    assert capture.trouble == ""


@pytest.mark.failsafe(
    "memory short",
    "decision 4, code 99",
    "at once",
    "NONE with the error",
    "the next part; a process that the kernel kills is restarted",
)
def test_short_memory_is_no_decision(rig: Callable[..., Any]) -> None:
    """A part for which there was no memory is NONE, and the loop goes on."""
    line = rig().start()

    def full() -> None:
        raise MemoryError

    line.eyes.before = full
    assert line.fire(1).decision is PlcDecision.NONE
    line.eyes.before = lambda: None
    assert line.fire(2).decision is PlcDecision.OK


@pytest.mark.failsafe(
    "a part's record can't even be made",
    "decision 4, code 99",
    "at once",
    "none; the log names the trigger",
    "the next part",
)
def test_a_part_without_a_record_is_no_decision(rig: Callable[..., Any]) -> None:
    """A good part whose recording raises is NONE: it would leave no trace of why it was OK."""
    line = rig().start()
    add = line.recorder.add

    def fail(_inspection: Inspection) -> threading.Event:
        raise ValueError("a number that no record holds")

    line.recorder.add = fail
    record = line.fire(1)
    assert (record.decision, record.code) == (PlcDecision.NONE, Code.INTERNAL)
    line.recorder.add = add
    assert line.fire(2).decision is PlcDecision.OK


@pytest.mark.failsafe(
    "clock stepped by a day, either way",
    "nothing",
    "-",
    "the wall clock as it was; order and deadlines are untouched",
    "by itself",
)
@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_stepped_clock_changes_nothing(
    rig: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """Deadlines, replay and ids live on the monotonic clock and on counting."""
    line = rig().start()
    first = line.fire(1)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + step_s)
    second = line.fire(2)

    assert (second.decision, second.id) == (PlcDecision.OK, first.id + 1)
    assert line.fire(2).id == second.id


@pytest.mark.failsafe(
    "no room for pictures",
    "the decision, Warning bit and warning 50",
    "at once",
    "complete, without a picture",
    "when there is room again",
)
def test_a_disk_without_room_costs_pictures_only(
    rig: Callable[..., Any], until: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """Below the free-space floor no picture is written; parts are judged as before."""
    line = rig(source=Shower(lambda seq: frame(seq, DARK)), min_free_bytes=1 << 60)
    with caplog.at_level(logging.CRITICAL):
        line.start()
        assert line.fire(1).decision is PlcDecision.NG
        until(lambda: line.archive.failing)

    assert Status(line.ask("/plc/status").status) & Status.WARNING
    assert line.line.warning is Code.STORAGE


class Machine:
    """Stands for the sensors of the machine."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals

    def read(self) -> Vitals:
        """As a test wants it."""
        return self._vitals


@pytest.mark.parametrize(
    ("vitals", "warning"),
    [
        (Vitals(celsius=85.0, clock_kept=True), Code.HOT),
        (Vitals(slowed="under-voltage", under_voltage=True), Code.HOT),
        (Vitals(celsius=40.0, clock_kept=False), Code.CLOCK),
        (Vitals(celsius=40.0, clock_kept=True), Code.FINE),
        (Vitals(), Code.FINE),
    ],
)
def test_the_machines_state_is_in_the_record(
    rig: Callable[..., Any], vitals: Vitals, warning: Code
) -> None:
    """Heat, power and clock warn in the record and the PLC's status; the decision stands."""
    doctor = Doctor(Machine(vitals))
    doctor.look()
    line = rig(doctor=doctor).start()

    record = line.fire(1)

    assert record.decision is PlcDecision.OK
    assert recorded(line, record.id).warning is warning
    warns = bool(Status(line.ask("/plc/status").status) & Status.WARNING)
    assert warns is (warning is not Code.FINE)


@pytest.mark.failsafe(
    "app dead, or never started",
    "nothing: the line needs nobody",
    "-",
    "complete",
    "the page is back with the app",
)
def test_the_line_needs_no_app(rig: Callable[..., Any]) -> None:
    """Trigger, answer, record and counters without anybody on the control socket."""
    line = rig().start()
    record = line.fire(1)

    assert record.decision is PlcDecision.OK
    assert recorded(line, record.id).decision is Decision.OK


def test_a_part_is_exposed_at_once_whoever_runs_the_model(
    rig: Callable[..., Any], until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the idle line tests its model, a part that comes does not pass the camera unseen."""
    source = OnDemand()
    line = rig(source=source).start()
    tests_itself, go_on = threading.Event(), threading.Event()
    answers: list[Any] = []
    plc = threading.Thread(target=lambda: answers.append(line.fire(1)))

    def blank() -> None:
        tests_itself.set()
        go_on.wait(30)

    line.eyes.before_blank = blank
    monkeypatch.setattr("camera.line.SELF_TEST_S", 0.0)
    assert tests_itself.wait(5)
    plc.start()
    until(lambda: source.exposed == 1)
    assert not answers
    go_on.set()
    plc.join(5)

    assert answers[0].decision is PlcDecision.OK
    assert source.exposed == 1


class OnDemand:
    """A camera that exposes when it is asked."""

    on_demand = True

    def __init__(self) -> None:
        self.exposed = 0

    def open(self) -> None:
        """Nothing to open."""

    def read(self) -> Frame:
        """A bright picture."""
        self.exposed += 1
        return frame(self.exposed)

    def close(self) -> None:
        """Nothing is held."""
