"""Pins: each edge is a trigger, and at 0 every output means reject."""

from __future__ import annotations

import pytest

from camera.gpio import ChipPort, Edge, Gpio, GpioError, Pins
from camera.shot import Answer
from camera.station import Station
from edge_app.inference.judge import Code, Decision, Verdict


class FakePort:
    """A chip whose outputs can be looked at."""

    def __init__(self) -> None:
        self.levels: dict[str, bool] = {}
        self.closed = False

    def edges(self, within_s: float) -> list[Edge]:
        """None: the test calls `turn` itself."""
        del within_s
        return []

    def set(self, meaning: str, *, high: bool) -> None:
        """Note the level."""
        self.levels[meaning] = high

    def close(self) -> None:
        """As the kernel does."""
        self.levels = dict.fromkeys(self.levels, False)
        self.closed = True


class Bench:
    """A station with pins, and a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        ids = iter(range(1, 10**6))
        self.station = Station(
            new_id=lambda: next(ids),
            deadline_ms=200,
            replay_window_s=2,
            clock=lambda: self.now,
        )
        self.station.open(1)
        self.port = FakePort()
        self.gpio = Gpio(self.port, self.station, 50, clock=lambda: self.now)
        self.seqno = 0

    def pulse(self, count: int = 1) -> None:
        """So many edges, of which the last is read."""
        self.seqno += count
        self.gpio.turn([Edge(self.now, self.seqno)])

    def inspect(self, decision: Decision) -> None:
        """What the loop does."""
        shot = self.station.take(0)
        assert shot is not None
        self.station.settle(shot, Answer(Verdict(decision, Code.FINE, ""), 5.0))
        self.station.release(shot)
        self.gpio.turn([])


@pytest.fixture
def bench() -> Bench:
    """See `Bench`."""
    return Bench()


def test_an_edge_is_a_trigger_and_ok_is_a_pulse(bench: Bench) -> None:
    """Ready falls with the trigger; OK rises with the answer and falls by itself."""
    bench.gpio.turn([])
    assert bench.port.levels["ready"]
    bench.pulse()
    assert not bench.port.levels["ready"]
    bench.inspect(Decision.OK)
    assert (bench.port.levels["ok"], bench.port.levels["no_reject"]) == (True, True)
    bench.now += 0.051
    bench.gpio.turn([])
    assert not bench.port.levels["ok"]
    assert bench.port.levels["ready"]


@pytest.mark.parametrize("decision", [Decision.NG, Decision.REVIEW, Decision.NONE])
def test_whatever_is_not_ok_rejects(bench: Bench, decision: Decision) -> None:
    """The reject line falls and stays down until a part is OK again."""
    bench.pulse()
    bench.inspect(decision)
    bench.now += 10
    bench.gpio.turn([])
    assert (bench.port.levels["ok"], bench.port.levels["no_reject"]) == (False, False)
    bench.pulse()
    bench.inspect(Decision.OK)
    assert bench.port.levels["no_reject"]


def test_the_next_edge_ends_the_ok_of_the_part_before(bench: Bench) -> None:
    """Two parts close together: the second never rides on the first one's pulse."""
    bench.pulse()
    bench.inspect(Decision.OK)
    bench.now += 0.01
    bench.pulse()

    assert not bench.port.levels["ok"]


@pytest.mark.failsafe(
    "the model stalls, on pins",
    "no_reject falls",
    "the deadline",
    "NONE, code 23",
    "the next OK part",
)
def test_the_deadline_rejects_without_the_loop(bench: Bench) -> None:
    """A stalled model: at the deadline the pins say reject by themselves."""
    bench.pulse()
    bench.now += 0.21
    bench.gpio.turn([])

    assert not bench.port.levels["no_reject"]


def test_a_refused_trigger_rejects(bench: Bench) -> None:
    """A part that comes while another is looked at goes by as a reject."""
    bench.gpio.start()
    assert bench.port.levels["no_reject"]
    bench.gpio.stop()
    bench.pulse()
    bench.pulse()

    assert not bench.port.levels["no_reject"]
    assert bench.station.shift.missed == 1


def test_edges_that_nobody_read_are_missed(bench: Bench) -> None:
    """A gap in the kernel's count is parts that went by."""
    bench.pulse()
    bench.inspect(Decision.OK)
    bench.pulse(5)

    assert bench.station.shift.missed == 4
    assert bench.station.take(0) is not None


@pytest.mark.failsafe(
    "the program with the pins ends or dies",
    "all outputs 0: reject, not ready",
    "at once",
    "nothing",
    "when it runs again",
)
def test_when_it_stops_everything_rejects(bench: Bench) -> None:
    """The program's end pulls every output to 0."""
    bench.gpio.start()
    bench.gpio.stop()

    assert bench.port.closed
    assert not any(bench.port.levels.values())


def test_without_pins_the_error_is_a_sentence() -> None:
    """No chip, or no library: the program says what is missing."""
    with pytest.raises(GpioError, match=r"(?i)gpio"):
        ChipPort(Pins(chip="no such chip", trigger="17"))
    with pytest.raises(GpioError, match=r"(?i)gpio"):
        ChipPort(Pins(chip="/dev/gpiochip99", trigger="17", ok="27"))
