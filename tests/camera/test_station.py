"""The state machine of triggers, step by step and under every mixture of steps."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from camera.shot import Answer, Refused, Shot
from camera.station import Station
from edge_app.inference.judge import Code, Decision, Verdict

OK = Verdict(Decision.OK, Code.FINE, "fine")
NG = Verdict(Decision.NG, Code.FINE, "scratched")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The moment."""
        return self.now


def make(
    clock: Clock | None = None, answered: Callable[[Shot], None] = lambda _: None
) -> tuple[Station, Clock]:
    """An open station with a clock of its own."""
    clock = clock or Clock()
    ids = iter(range(1, 10**9))
    station = Station(
        new_id=lambda: next(ids),
        deadline_ms=200,
        replay_window_s=2,
        answered=answered,
        clock=clock,
    )
    station.open(1)
    return station, clock


def inspect(station: Station, verdict: Verdict = OK) -> Shot:
    """What the loop does with a shot that was fired."""
    shot = station.take(0)
    assert shot is not None
    station.settle(shot, Answer(verdict, 5.0))
    station.release(shot)
    return shot


def refusal(station: Station, **trigger: object) -> Code:
    """The code with which a trigger is refused."""
    with pytest.raises(Refused) as caught:
        station.fire("plc", **trigger)  # type: ignore[arg-type]  # whatever the test gives
    return caught.value.code


def test_a_station_begins_closed() -> None:
    """Before the first job no trigger is taken, and it is counted as missed."""
    station = Station(new_id=lambda: 1, deadline_ms=200, replay_window_s=2)

    assert refusal(station, n=1) is Code.STARTING
    assert station.shift.missed == 1
    assert not station.ready


def test_the_same_number_is_the_same_shot() -> None:
    """Within the window a repeat gets the first shot, before and after its answer."""
    station, clock = make()
    shot = station.fire("plc", n=17, part="A")
    assert station.fire("plc", n=17, part="A") is shot
    inspect(station)
    clock.now += 1.9

    assert station.fire("plc", n=17, part="A") is shot
    assert station.shift.total == 1


@pytest.mark.parametrize("other", [{"part": "B"}, {"part": "A", "job": 2}])
def test_a_number_for_another_part_is_refused(other: dict[str, object]) -> None:
    """The same number with other data is code 22 and fires nothing."""
    station, _ = make()
    station.fire("plc", n=17, part="A", job=1)
    inspect(station)

    assert refusal(station, n=17, **other) is Code.NUMBER_REUSED
    assert station.shift.missed == 0


def test_after_the_window_the_number_is_free() -> None:
    """The same number is a new shot later, and its old answer can't be read any more."""
    station, clock = make()
    first = station.fire("plc", n=17)
    inspect(station)
    clock.now += 2.1

    assert station.shot(17) is None
    assert station.fire("plc", n=17) is not first


def test_only_the_newest_number_is_replayed() -> None:
    """An older number fires anew: the PLC has moved on."""
    station, _ = make()
    first = station.fire("plc", n=1)
    inspect(station)
    station.fire("plc", n=2)
    inspect(station)

    assert station.fire("plc", n=1) is not first


def test_a_shot_in_between_takes_no_number_away() -> None:
    """A page's or a free-running shot does not turn the PLC's retry into a second shot."""
    station, _ = make()
    first = station.fire("plc", n=7)
    inspect(station)
    station.fire("page")
    inspect(station)

    assert station.fire("plc", n=7) is first


def test_a_job_change_frees_the_number() -> None:
    """Under another job the same number is a new shot."""
    station, _ = make()
    first = station.fire("plc", n=7)
    inspect(station)
    station.open(2)

    assert station.fire("plc", n=7) is not first


def test_busy_is_refused_and_counted() -> None:
    """A new number while a shot is in work is code 20, missed, never queued."""
    station, _ = make()
    station.fire("plc", n=1)

    assert refusal(station, n=2) is Code.BUSY
    assert (station.shift.missed, station.life.missed, station.missed_latch) == (1, 1, True)
    inspect(station)
    assert station.take(0) is None


def test_the_wrong_job_fires_nothing() -> None:
    """A PLC that believes in another job gets code 41."""
    station, _ = make()

    assert refusal(station, n=1, job=2) is Code.UNKNOWN_JOB
    assert station.take(0) is None


def test_at_the_deadline_the_answer_is_final() -> None:
    """The deadline's answer is code 23 and what comes later changes nothing."""
    answered: list[Shot] = []
    station, clock = make(answered=answered.append)
    shot = station.fire("plc", n=1)
    assert station.take(0) is shot
    clock.now += 0.2

    assert station.wait(shot, clock.now).verdict.code is Code.DEADLINE  # type: ignore[union-attr]  # it is there
    assert not station.settle(shot, Answer(OK, 250))
    assert shot.answer is not None
    assert shot.answer.verdict.decision is Decision.NONE
    assert answered == [shot]
    assert (station.shift.none, station.shift.ok) == (1, 0)


def test_an_answer_at_the_very_deadline_is_late() -> None:
    """There is no moment in which both answers could be given."""
    station, clock = make()
    shot = station.fire("plc", n=1)
    station.take(0)
    clock.now = shot.deadline.ends_at

    assert not station.settle(shot, Answer(OK, 200))


def test_a_stalled_shot_keeps_the_station_busy() -> None:
    """Answered by the deadline, the shot still holds the model: the next trigger is missed."""
    station, clock = make()
    station.fire("plc", n=1)
    station.take(0)
    clock.now += 5

    assert refusal(station, n=2) is Code.BUSY
    assert not station.ready


def test_a_shot_that_was_forgotten_is_no_decision() -> None:
    """A loop that lets go without an answer gives NONE."""
    station, _ = make()
    shot = station.fire("plc", n=1)
    station.release(shot)

    assert shot.answer is not None
    assert shot.answer.verdict.code is Code.INTERNAL


def test_closing_reasons_add_up() -> None:
    """A job that is loaded does not put a line online that was set offline."""
    station, _ = make()
    station.close(Code.OFFLINE, "set offline")
    station.close(Code.JOB_LOADING, "loading")
    station.open(2)

    assert refusal(station, n=1) is Code.OFFLINE
    station.lift(Code.OFFLINE)
    assert station.ready


def test_test_shots_are_not_counted() -> None:
    """They are answered all the same."""
    station, _ = make()
    station.fire("page", test=True)

    assert inspect(station).answer is not None
    assert station.shift.total == station.life.total == 0


def test_a_reset_keeps_the_lifetime() -> None:
    """The shift begins anew; the closing values come back."""
    station, _ = make()
    station.fire("plc", n=1)
    inspect(station, NG)

    assert station.reset_shift().ng == 1
    assert (station.shift.total, station.life.ng) == (0, 1)


def test_a_slow_reader_gets_all_answers_in_order() -> None:
    """Nothing between two looks is lost or told twice."""
    station, _ = make()
    fired = [inspect_fired(station, n) for n in range(1, 6)]
    seen, first = station.answered_since(0)
    assert [shot.n for shot in first] == [shot.n for shot in fired]
    station.fire("plc", n=9)
    inspect(station)

    assert [shot.n for shot in station.answered_since(seen)[1]] == [9]


def inspect_fired(station: Station, n: int) -> Shot:
    """Fire and inspect."""
    station.fire("plc", n=n)
    return inspect(station)


def test_a_pause_ends_when_a_part_has_its_answer() -> None:
    """Not when it is fired, and not with its answer alone: the loop may still be at it."""
    station, _ = make()
    paused = threading.Thread(target=station.pause, args=(60,))
    paused.start()
    shot = station.fire("plc", n=1)
    station.settle(shot, Answer(OK, 5.0))
    paused.join(0.1)
    assert paused.is_alive()

    station.release(shot)

    paused.join(10)
    assert not paused.is_alive()


@pytest.mark.parametrize("closed", [Code.JOB_LOADING, Code.STARTING])
def test_nobody_pauses_while_no_triggers_are_taken(closed: Code) -> None:
    """No part comes then that could be held up."""
    station, _ = make()
    station.close(closed, "busy otherwise")
    paused = threading.Thread(target=station.pause, args=(60,))

    paused.start()

    paused.join(10)
    assert not paused.is_alive()


def test_without_parts_a_pause_has_an_end() -> None:
    """A job is loaded also while nothing runs on the belt."""
    station, _ = make()

    station.pause(0.01)

    assert station.ready


class StationModel(RuleBasedStateMachine):
    """PLCs, pages and a loop that stalls, drop and repeat at will; the contract must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Shot] = []
        self.station, self.clock = make(answered=self.given.append)
        self.fired: dict[int, Shot] = {}
        self.taken: Shot | None = None
        self.newest: tuple[int, str, float] | None = None
        self.shot_of_newest: Shot | None = None
        self.missed = 0
        self.answers: dict[int, Answer] = {}

    @rule(n=st.integers(1, 3), part=st.sampled_from("AB"))
    def plc_fires(self, n: int, part: str) -> None:
        """A trigger, perhaps a retry, perhaps under a number that is in use."""
        now = self.clock.now
        repeat = self.newest is not None and self.newest[0] == n and now - self.newest[2] <= 2
        busy = self.station.busy
        closed = self.station.closed
        try:
            shot = self.station.fire("plc", n=n, part=part)
        except Refused as refused:
            code = refused.code
        else:
            code = Code.FINE
        if code is not Code.FINE:
            if repeat:
                assert self.newest is not None
                assert (code, part != self.newest[1]) == (Code.NUMBER_REUSED, True)
            else:
                self.missed += 1
                assert code is (closed[0] if closed else Code.BUSY)
            return
        if repeat:
            assert shot is self.shot_of_newest
            assert self.newest is not None
            assert part == self.newest[1]
            return
        assert not busy
        assert closed is None
        self._new(shot)
        self.newest, self.shot_of_newest = (n, part, now), shot

    @rule(test=st.booleans())
    def page_fires(self, test: bool) -> None:
        """A shot without a number."""
        try:
            self._new(self.station.fire("page", test=test))
        except Refused:
            self.missed += 1

    def _new(self, shot: Shot) -> None:
        assert shot.id not in self.fired
        assert 1 <= shot.n <= 65_535
        self.fired[shot.id] = shot

    @rule()
    def loop_takes(self) -> None:
        """The loop looks for work."""
        shot = self.station.take(0)
        if self.taken is not None:
            assert shot is None
        if shot is not None:
            self.taken = shot

    @precondition(lambda self: self.taken is not None)
    @rule(verdict=st.sampled_from([OK, NG]))
    def loop_settles(self, verdict: Verdict) -> None:
        """The loop has a verdict, in time or not."""
        shot = self.taken
        assert shot is not None
        answer = Answer(verdict, 1.0)
        first = shot.answer is None
        in_time = self.clock.now < shot.deadline.ends_at
        assert self.station.settle(shot, answer) == (first and in_time)

    @precondition(lambda self: self.taken is not None)
    @rule()
    def loop_releases(self) -> None:
        """The loop is done."""
        assert self.taken is not None
        self.station.release(self.taken)
        self.taken = None

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.3, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        """The clock never stands still."""
        self.clock.now += seconds

    @precondition(lambda self: not self.station.busy)
    @rule(job=st.integers(1, 2))
    def job_changes(self, job: int) -> None:
        """Jobs change between two shots."""
        if job != self.station.job:
            self.newest = None
        self.station.close(Code.JOB_LOADING, "loading")
        self.station.open(job)

    @rule(offline=st.booleans())
    def offline(self, offline: bool) -> None:
        """Somebody sets the line offline, or online."""
        if offline:
            self.station.close(Code.OFFLINE, "set offline")
        else:
            self.station.lift(Code.OFFLINE)

    @rule(n=st.integers(1, 3))
    def plc_reads(self, n: int) -> None:
        """A result is this number's, and no older than the window."""
        shot = self.station.shot(n)
        if shot is not None:
            assert shot.n == n
            assert self.clock.now - shot.deadline.started_at <= 2

    @rule()
    def shift_ends(self) -> None:
        """Counters are reset at any moment."""
        closing = self.station.reset_shift()
        assert closing.total == closing.ok + closing.ng + closing.review + closing.none

    @invariant()
    def answers_are_given_once_and_final(self) -> None:
        """No shot is answered twice, and no answer changes."""
        assert len({shot.id for shot in self.given}) == len(self.given)
        for shot in self.given:
            assert shot.answer is not None
            assert self.answers.setdefault(shot.id, shot.answer) is shot.answer

    @invariant()
    def counters_add_up(self) -> None:
        """The lifetime's counters are what was answered and missed."""
        life = self.station.counters()[1]
        counted = [shot for shot in self.given if not shot.test]
        assert life.total == len(counted)
        assert life.ok == sum(s.answer.verdict == OK for s in counted if s.answer)
        assert life.missed == self.missed
        assert self.station.completed == len(self.given)

    @invariant()
    def no_late_answer_is_ok(self) -> None:
        """Ready and busy exclude each other; what is past its deadline is answered."""
        assert not (self.station.ready and self.station.busy)
        for shot in self.fired.values():
            if self.clock.now >= shot.deadline.ends_at and self.taken is shot:
                assert shot.answer is not None


TestStationModel = StationModel.TestCase
TestStationModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
