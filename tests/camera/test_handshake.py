"""The Modbus handshake, driven scan by scan by PLCs that are slow, forgetful and cut off."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from camera.plc.handshake import CONTROL, HELD_RESULTS, Control, Handshake, Result
from camera.plc.record import PlcDecision, PlcRecord, Status
from camera.shot import Answer, Refused, Shot
from camera.station import Station
from edge_app.inference.judge import Code, Decision, Verdict

VERDICTS = {
    Decision.OK: Verdict(Decision.OK, Code.FINE, "fine"),
    Decision.NG: Verdict(Decision.NG, Code.FINE, "scratched"),
    Decision.REVIEW: Verdict(Decision.REVIEW, Code.FINE, "unsure"),
}
ENABLE = int(Control.TRIGGER_ENABLE)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The moment."""
        return self.now


class StationDesk:
    """A real station with nothing behind it."""

    def __init__(self, clock: Clock) -> None:
        ids = iter(range(1, 10**9))
        self.station = Station(
            new_id=lambda: next(ids), deadline_ms=200, replay_window_s=2, clock=clock
        )
        self.station.open(1)
        self.jobs: list[int] = []
        self.resets = 0
        self.edges = 0

    def fire(self, n: int, part: str, *, test: bool) -> Shot:
        """See `Station.fire`."""
        self.edges += 1
        return self.station.fire("modbus", n=n, part=part, test=test, replay=False)

    def answered_since(self, completed: int) -> tuple[int, list[Shot]]:
        """See `Station.answered_since`."""
        return self.station.answered_since(completed)

    def result(self, shot: Shot) -> Result:
        """The shot's record."""
        assert shot.answer is not None
        verdict = shot.answer.verdict
        decision = PlcDecision.of(verdict.decision)
        record = PlcRecord(n=shot.n, id=shot.id, decision=decision, code=int(verdict.code))
        return Result(record, shot.part)

    def ready(self) -> bool:
        """See `Station.ready`."""
        return self.station.ready

    def load_job(self, number: int) -> bool:
        """Note it."""
        self.jobs.append(number)
        return 1 <= number <= 999

    def set_offline(self, offline: bool) -> None:
        """Close or lift."""
        if offline:
            self.station.close(Code.OFFLINE, "set offline")
        else:
            self.station.lift(Code.OFFLINE)

    def count_missed(self) -> None:
        """See `Station.count_missed`."""
        self.edges += 1
        self.station.count_missed()

    def clear_error(self) -> None:
        """See `Station.clear_error`."""
        self.station.clear_error()

    def reset_counters(self) -> None:
        """Note it."""
        self.resets += 1


def inspect(desk: StationDesk, decision: Decision = Decision.OK) -> None:
    """What the loop does."""
    shot = desk.station.take(0)
    assert shot is not None
    desk.station.settle(shot, Answer(VERDICTS[decision], 5.0))
    desk.station.release(shot)


def words_of(control: int, n: int = 0, part: str = "") -> list[int]:
    """HR 0-23 as one FC 16 writes them."""
    raw = part.encode("ascii").ljust(32, b"\0")
    letters = [int.from_bytes(raw[i : i + 2], "big") for i in range(0, 32, 2)]
    return [control, n, 0, 0, 0, 0, 0, 0, *letters]


@pytest.fixture
def clock() -> Clock:
    """Seconds of its own."""
    return Clock()


@pytest.fixture
def desk(clock: Clock) -> StationDesk:
    """A station."""
    return StationDesk(clock)


@pytest.fixture
def handshake(desk: StationDesk, clock: Clock) -> Handshake:
    """A dialogue that just began."""
    return Handshake(desk, clock)


def status(handshake: Handshake) -> Status:
    """The handshake's bits."""
    return handshake.shown()[1]


def test_the_sequence_of_the_contract(desk: StationDesk, handshake: Handshake) -> None:
    """Enable, Ready, Trigger, Ack, Results Valid, Result Ack: as smart cameras do it."""
    assert Status.READY not in status(handshake)
    handshake.write(0, [ENABLE])
    assert Status.READY in status(handshake)
    handshake.write(0, words_of(ENABLE | Control.TRIGGER, 17, "AB12"))
    assert Status.TRIGGER_ACK in status(handshake)
    assert not status(handshake) & (Status.READY | Status.RESULTS_VALID)
    inspect(desk)

    result, bits = handshake.shown()
    assert (result.record.n, result.part) == (17, "AB12")
    assert Status.RESULTS_VALID | Status.PASS | Status.COMPLETED in bits
    handshake.write(0, [ENABLE])
    assert Status.TRIGGER_ACK not in status(handshake)
    handshake.write(0, [ENABLE | Control.RESULT_ACK])
    assert not status(handshake) & (Status.RESULTS_VALID | Status.PASS)
    handshake.write(0, [ENABLE])
    assert Status.READY in status(handshake)


def test_a_held_trigger_fires_once(desk: StationDesk, handshake: Handshake) -> None:
    """The same word written by every scan is one edge."""
    handshake.write(0, [ENABLE])
    for _ in range(5):
        handshake.write(0, words_of(ENABLE | Control.TRIGGER, 3))
    inspect(desk)
    handshake.write(0, words_of(ENABLE | Control.TRIGGER, 3))

    assert desk.station.shift.total == 1
    assert desk.station.take(0) is None


def test_a_new_trigger_takes_the_old_result_away(desk: StationDesk, handshake: Handshake) -> None:
    """From the edge on, nothing of the part before is shown as valid."""
    handshake.write(0, words_of(ENABLE, 1))
    handshake.write(0, words_of(ENABLE | Control.TRIGGER, 1))
    inspect(desk)
    assert Status.PASS in status(handshake)
    handshake.write(0, [ENABLE])
    handshake.write(0, words_of(ENABLE | Control.TRIGGER, 2))

    assert not status(handshake) & (Status.RESULTS_VALID | Status.PASS | Status.FAIL)


def test_a_part_that_was_passed_over_is_never_shown(
    desk: StationDesk, handshake: Handshake
) -> None:
    """A second trigger before the first result: that result is an overrun, whatever it says."""
    handshake.write(0, [ENABLE])
    handshake.write(0, words_of(ENABLE | Control.TRIGGER, 1))
    handshake.write(0, [ENABLE])
    handshake.write(0, words_of(ENABLE | Control.TRIGGER, 2))
    inspect(desk)
    result, bits = handshake.shown()

    assert (result.record.n, result.record.code) == (2, Code.BUSY)
    assert Status.OVERRUN in bits
    assert Status.PASS not in bits


@pytest.mark.failsafe(
    "a Modbus trigger is refused",
    "Fail, decision 4 with the code, Missed Trigger",
    "at once",
    "counted as missed",
    "by itself",
)
@pytest.mark.parametrize(
    ("control", "code"), [(ENABLE, Code.BUSY), (0, Code.NOT_ENABLED)], ids=["busy", "not enabled"]
)
def test_a_refused_trigger_has_its_result_at_once(
    desk: StationDesk, handshake: Handshake, control: int, code: Code
) -> None:
    """Refused is Fail with a code, and Missed: the PLC never waits for nothing."""
    if code is Code.BUSY:
        desk.station.fire("page")
    handshake.write(0, [control])
    handshake.write(0, words_of(control | Control.TRIGGER, 9, "X"))
    result, bits = handshake.shown()

    assert (result.record.n, result.record.decision, result.record.code) == (
        9,
        PlcDecision.NONE,
        code,
    )
    assert Status.RESULTS_VALID | Status.FAIL | Status.TRIGGER_ACK in bits
    assert desk.station.missed_latch
    assert handshake.code is code


@pytest.mark.failsafe(
    "others fire while the PLC does",
    "only the PLC's own results are shown",
    "-",
    "each part with its source",
    "by itself",
)
def test_somebody_elses_part_is_not_shown(desk: StationDesk, handshake: Handshake) -> None:
    """While Trigger Enable is on, a page's or a free-running shot never looks like the PLC's."""
    handshake.write(0, [ENABLE])
    for source in ("page", "free", "plc"):
        desk.station.fire(source)
        inspect(desk)

    assert not status(handshake) & (Status.RESULTS_VALID | Status.PASS)
    handshake.write(0, [0])
    desk.station.fire("free")
    inspect(desk)
    assert Status.PASS in status(handshake)


def test_hold_keeps_results_in_order(desk: StationDesk, handshake: Handshake) -> None:
    """With Hold, results wait for their Ack; the ninth is an overrun, none is overwritten."""
    hold = ENABLE | Control.HOLD
    handshake.write(0, [hold])
    for n in range(1, HELD_RESULTS + 3):
        handshake.write(0, words_of(hold | Control.TRIGGER, n))
        inspect(desk)
        handshake.write(0, [hold])
    assert (handshake.overruns, Status.OVERRUN in status(handshake)) == (2, True)
    seen = []
    while Status.RESULTS_VALID in status(handshake):
        seen.append(handshake.shown()[0].record.n)
        handshake.write(0, [hold | Control.RESULT_ACK])
        handshake.write(0, [hold])

    assert seen == list(range(1, HELD_RESULTS + 1))
    handshake.write(0, [hold | Control.CLEAR_ERROR])
    assert Status.OVERRUN not in status(handshake)


@pytest.mark.failsafe(
    "the PLC hangs (HR 3 set)",
    "Trigger Enable drops, code 60",
    "HR 3 x 0.1 s",
    "nothing",
    "the PLC takes Trigger Enable back, or clears the error",
)
def test_the_plc_watchdog_takes_enable_away(
    desk: StationDesk, handshake: Handshake, clock: Clock
) -> None:
    """No toggle in time: Trigger Enable drops with code 60, until the PLC shows that it noticed."""
    handshake.write(0, [ENABLE, 0, 0, 5])
    for beat in range(6):
        clock.now += 0.4
        handshake.write(0, [ENABLE | (Control.HEARTBEAT if beat % 2 else 0)])
        handshake.write(0, [ENABLE | (0 if beat % 2 else Control.HEARTBEAT)])
        assert Status.READY in status(handshake)
    clock.now += 0.6
    assert Status.READY not in status(handshake)
    assert handshake.code is Code.PLC_WATCHDOG
    handshake.write(0, [ENABLE | Control.TRIGGER])
    assert handshake.shown()[0].record.code == Code.NOT_ENABLED
    assert desk.station.take(0) is None
    handshake.write(0, [0])
    handshake.write(0, [ENABLE])
    assert Status.READY in status(handshake)


def test_commands(desk: StationDesk, handshake: Handshake) -> None:
    """Jobs, offline, reset and a failed command, by edges and levels."""
    handshake.write(0, [ENABLE | Control.LOAD_JOB | Control.RESET_COUNTERS, 0, 7])
    handshake.write(0, [ENABLE | Control.LOAD_JOB | Control.RESET_COUNTERS, 0, 7])
    assert (desk.jobs, desk.resets) == ([7], 1)
    handshake.write(0, [ENABLE | Control.OFFLINE])
    with pytest.raises(Refused):
        desk.station.fire("plc")
    handshake.write(0, [ENABLE | Control.LOAD_JOB, 0, 0])
    assert Status.COMMAND_FAILED in status(handshake)
    assert Status.READY in status(handshake)


def test_coils_are_the_control_word(desk: StationDesk, handshake: Handshake) -> None:
    """Bits written one by one do what the word does; the unused ones stay 0."""
    handshake.write_bits(0, [True])
    handshake.write_bits(1, [True])
    assert desk.station.take(0) is not None
    handshake.write_bits(8, [True] * 8)
    assert handshake.words[CONTROL] == 0b11_0000_0011
    with pytest.raises(IndexError):
        handshake.write_bits(10, [True] * 7)


@pytest.mark.parametrize(("address", "count"), [(24, 1), (8, 17), (-1, 1), (0, 25)])
def test_what_is_no_register_changes_nothing(
    handshake: Handshake, address: int, count: int
) -> None:
    """A write that leaves the table is refused whole."""
    with pytest.raises(IndexError):
        handshake.write(address, [1] * count)
    assert handshake.words == [0] * 24


class Plc:
    """A PLC program as the manual has it: one step for each scan, on the picture it read last.

    Args:
        numbers: Whether it numbers its parts; one that does not relies on the bits alone.
    """

    def __init__(self, *, numbers: bool) -> None:
        self.numbers = numbers
        self.part = 0
        self.step = "idle"
        self.fired_at = 0.0
        self.control = ENABLE
        self.passed: list[tuple[int, int, str]] = []

    def scan(self, seen: tuple[Result, Status], now: float) -> list[int]:
        """Read, decide, and what is written then."""
        result, bits = seen
        if self.step == "idle" and Status.READY in bits and Status.TRIGGER_ACK not in bits:
            self.part += 1
            self.fired_at = now
            self.step, self.control = "fired", ENABLE | Control.TRIGGER
        elif self.step == "fired" and Status.TRIGGER_ACK in bits:
            self.step = "waiting"
        elif self.step == "waiting" and Status.RESULTS_VALID in bits:
            self._decide(result, bits, now)
            self.step, self.control = "acking", ENABLE | Control.RESULT_ACK
        elif self.step == "waiting" and now - self.fired_at > 1:
            self.step, self.control = "acking", ENABLE | Control.RESULT_ACK
        elif self.step == "acking" and Status.RESULTS_VALID not in bits:
            self.step, self.control = "idle", ENABLE
        return words_of(self.control, self._number, f"P{self.part}")

    @property
    def _number(self) -> int:
        return self.part if self.numbers else 0

    def _decide(self, result: Result, bits: Status, now: float) -> None:
        ours = result.record.n == self.part if self.numbers else True
        in_time = now - self.fired_at <= 1
        if ours and in_time and Status.PASS in bits and result.record.decision is PlcDecision.OK:
            self.passed.append((self.part, result.record.id, result.part))

    def restart(self) -> None:
        """Power off and on in mid-handshake; the part counter is kept."""
        self.step, self.control = "idle", ENABLE


class HandshakeModel(RuleBasedStateMachine):
    """Any mixture of scans, losses, stalls and other people's shots: no wrong part passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.desk = StationDesk(self.clock)
        self.handshake = Handshake(self.desk, self.clock)
        self.seen = self.handshake.shown()
        self.pending: list[list[int]] = []
        self.taken: Shot | None = None
        self.truth: dict[int, tuple[str, Decision]] = {}
        self.plc = Plc(numbers=True)
        self.control = 0
        self.edges = 0

    @initialize(numbers=st.booleans())
    def begin(self, numbers: bool) -> None:
        """A PLC with numbers, or one without."""
        self.plc = Plc(numbers=numbers)

    def _arrive(self, words: list[int]) -> None:
        self.edges += bool(words[0] & ~self.control & Control.TRIGGER)
        self.control = words[0]
        self.handshake.write(0, words)

    @precondition(lambda self: not self.pending)
    @rule(times=st.integers(1, 4))
    def plc_cycles(self, times: int) -> None:
        """Some whole scans, as they go when nothing is wrong."""
        for _ in range(times):
            self.plc_reads()
            self._arrive(self.plc.scan(self.seen, self.clock.now))

    @precondition(lambda self: not self.pending)
    @rule(source=st.sampled_from(["page", "free", "plc"]), wait_s=st.sampled_from([0, 0.1, 1.2]))
    def somebody_is_quicker(self, source: str, wait_s: float) -> None:
        """Between the PLC's look and its write, another's shot is fired, and time passes."""
        self.plc_reads()
        words = self.plc.scan(self.seen, self.clock.now)
        self.somebody_else_fires(source)
        self.clock.now += wait_s
        self._arrive(words)

    @rule(decision=st.sampled_from(list(VERDICTS)))
    def loop_turns(self, decision: Decision) -> None:
        """One whole inspection."""
        self.loop_takes()
        if self.taken is not None:
            self.loop_finishes(decision)

    @rule()
    def plc_reads(self) -> None:
        """One FC 4."""
        self.seen = self.handshake.shown()

    @rule()
    def plc_scans(self) -> None:
        """One step of the program; its write goes out."""
        self.pending.append(self.plc.scan(self.seen, self.clock.now))

    @precondition(lambda self: self.pending)
    @rule()
    def a_write_arrives(self) -> None:
        """The oldest write arrives."""
        self._arrive(self.pending.pop(0))

    @precondition(lambda self: self.pending)
    @rule()
    def a_write_arrives_twice(self) -> None:
        """A retry whose first try had arrived after all."""
        self._arrive(self.pending[0])
        self._arrive(self.pending.pop(0))

    @precondition(lambda self: self.pending and self.plc.numbers)
    @rule()
    def a_write_is_lost(self) -> None:
        """Only a PLC that numbers its parts can survive not knowing what arrived."""
        self.pending.pop(0)

    @precondition(lambda self: len(self.pending) > 1 and self.plc.numbers)
    @rule()
    def writes_overtake_each_other(self) -> None:
        """As with two connections."""
        self.pending.insert(0, self.pending.pop())

    @precondition(lambda self: self.plc.numbers)
    @rule()
    def plc_restarts(self) -> None:
        """A new connection, in mid-handshake; what was under way is lost."""
        self.pending.clear()
        self.plc.restart()

    @rule()
    def loop_takes(self) -> None:
        """The loop begins."""
        self.taken = self.desk.station.take(0) or self.taken

    @precondition(lambda self: self.taken is not None)
    @rule(decision=st.sampled_from(list(VERDICTS)))
    def loop_finishes(self, decision: Decision) -> None:
        """The loop has a verdict, in time or not."""
        shot = self.taken
        assert shot is not None
        self.desk.station.settle(shot, Answer(VERDICTS[decision], 5.0))
        self.desk.station.release(shot)
        assert shot.answer is not None
        self.truth[shot.id] = (shot.part, shot.answer.verdict.decision)
        self.taken = None

    @rule(source=st.sampled_from(["page", "free", "plc"]))
    def somebody_else_fires(self, source: str) -> None:
        """Good parts of others are all around."""
        if self.desk.station.ready:
            self.desk.station.fire(source)

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.3, 1.2]))
    def time_passes(self, seconds: float) -> None:
        """Scans are slow at times."""
        self.clock.now += seconds

    @invariant()
    def only_good_parts_pass(self) -> None:
        """Whatever the PLC passed is the part it fired for, inspected and OK."""
        for part, inspection_id, echoed in self.plc.passed:
            assert echoed == f"P{part}"
            assert self.truth[inspection_id] == (f"P{part}", Decision.OK)

    @invariant()
    def one_edge_is_one_trigger(self) -> None:
        """However often the word is written: a shot or a refusal for each edge, no more."""
        assert self.desk.edges == self.edges

    @invariant()
    def bits_make_sense(self) -> None:
        """Pass and Fail never together, neither without a result; Ack mirrors Trigger."""
        result, bits = self.handshake.shown()
        verdict = bits & (Status.PASS | Status.FAIL)
        assert verdict != Status.PASS | Status.FAIL
        assert bool(verdict) == (Status.RESULTS_VALID in bits)
        assert (Status.TRIGGER_ACK in bits) == (Control.TRIGGER in self.handshake.control)
        if Status.PASS in bits:
            assert result.record.decision is PlcDecision.OK


TestHandshakeModel = HandshakeModel.TestCase
TestHandshakeModel.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
