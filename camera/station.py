"""The one state machine of a line: every trigger, whoever fires it, goes through here.

At most one shot is in work. Its answer is given once and is final: by the inspection
loop, or at the deadline by whoever looks first. Nothing here blocks but the waits that
say so, and the clock is passed in, so that the machine can be driven step by step.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from camera.shot import MAX_NUMBER, Answer, Refused, Shot
from edge_app.inference.budget import Deadline
from edge_app.inference.judge import Code, no_decision
from edge_app.records.database import Counters

ANSWER_LEAVES_S = 0.002
"""From a shot's end until its answer is on its way, with time to spare."""

HELD_ANSWERS = 256
"""Shots kept in memory: a slow reader of results (Modbus) may be this many behind."""


class Station:
    """Takes triggers one at a time and sees to it that each gets exactly one answer.

    Args:
        new_id: Gives inspection ids.
        deadline_ms: Budget of a shot.
        replay_window_s: For this long a number stands for its part: the same number gets
            its first answer again, and its result can be read.
        camera: Whose counters these are.
        counters: The shift's and the lifetime's as they were kept; zeros otherwise.
        fired: Called with each shot that was taken for the loop; must not block.
        answered: Called with each shot at the moment its answer is given; must not block.
        missed: Called when a trigger was refused and counted; must not block.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        new_id: Callable[[], int],
        deadline_ms: float,
        replay_window_s: float,
        camera: str = "",
        counters: tuple[Counters, Counters] | None = None,
        fired: Callable[[Shot], None] = lambda _: None,
        answered: Callable[[Shot], None] = lambda _: None,
        missed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deadline_ms = deadline_ms
        self._new_id = new_id
        self._replay_window_s = replay_window_s
        self._fired = fired
        self._answered = answered
        self._missed = missed
        self._clock = clock
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        # Apart, for to wake the loop in vain costs each part that is seen to by hand.
        self._to_take = threading.Condition(lock)
        self._closed = {Code.STARTING: "the line is starting"}
        self._job = 0
        self._in_work: Shot | None = None
        self._taken = self._by_hand = False
        self._released = 0
        self._newest: tuple[Shot, float] | None = None
        self._held: deque[tuple[Shot, float]] = deque(maxlen=HELD_ANSWERS)
        self._results: deque[tuple[int, Shot]] = deque(maxlen=HELD_ANSWERS)
        self._completed = 0
        self._missed_latch = False
        self.shift, self.life = counters or (Counters(camera, "shift"), Counters(camera, "life"))

    def open(self, job: int) -> None:
        """The job is in force from now on. Numbers sent under another one are new shots again.

        Triggers are taken unless something else keeps the station closed.
        """
        with self._changed:
            self._closed.pop(Code.STARTING, None)
            self._closed.pop(Code.JOB_LOADING, None)
            if job != self._job:
                self._newest = None
            self._job = job
            self._changed.notify_all()

    def close(self, code: Code, reason: str) -> None:
        """Refuse triggers with this code until it is lifted; a shot in work goes on."""
        with self._changed:
            self._closed[code] = reason
            self._changed.notify_all()

    def lift(self, code: Code) -> None:
        """Take back a `close` with this code."""
        with self._changed:
            self._closed.pop(code, None)
            self._changed.notify_all()

    @property
    def job(self) -> int:
        """The job in force."""
        return self._job

    @property
    def ready(self) -> bool:
        """Whether a trigger would be taken now."""
        with self._changed:
            self._expire()
            return not self._closed and self._in_work is None

    @property
    def busy(self) -> bool:
        """Whether a shot is in work, answered or not."""
        return self._in_work is not None

    @property
    def closed(self) -> tuple[Code, str] | None:
        """Why triggers are refused at present; None while they are taken."""
        with self._changed:
            return next(iter(self._closed.items()), None)

    def closed_by(self, code: Code) -> bool:
        """Whether this is among the reasons for which triggers are refused."""
        return code in self._closed

    @property
    def completed(self) -> int:
        """Answers given since the program began."""
        return self._completed

    @property
    def missed_latch(self) -> bool:
        """Whether a trigger was missed since the errors were cleared."""
        return self._missed_latch

    def fire(
        self,
        source: str,
        n: int = 0,
        part: str = "",
        job: int | None = None,
        *,
        test: bool = False,
        request_id: str = "",
        replay: bool = True,
        arrived_at: float | None = None,
        by_hand: bool = False,
    ) -> Shot:
        """Take a trigger, or give back the shot it repeats.

        Args:
            source: Who fires.
            n: The PLC's number; 0 lets the station number it, without replay.
            part: The part's id.
            job: The job the PLC believes to be in force: under any other nothing is fired,
                for a part must not be judged by another product's limits. None for no check.
            test: Answered and recorded, but not counted.
            request_id: See `Shot`.
            replay: False where the caller's own handshake makes a repeat impossible.
            arrived_at: Monotonic seconds at which the trigger arrived.
            by_hand: Whoever fires sees to it himself, exposure and all, once `claim` gives him
                the shot.

        Raises:
            Refused: Not taken; says why. Nothing was fired.
        """
        with self._changed:
            self._expire()
            now = self._clock()
            if n and replay and (repeated := self._repeated(n, part, job, now)):
                return repeated
            self._check_acceptable(job)
            shot = Shot(
                id=self._new_id(),
                n=n or self._next_number(),
                part=part,
                source=source,
                job=self._job,
                deadline=Deadline(now if arrived_at is None else arrived_at, self.deadline_ms),
                test=test,
                request_id=request_id,
            )
            self._in_work, self._taken, self._by_hand = shot, False, by_hand
            # A number that the station gave itself is nobody's key for a repeat, and takes
            # away nobody's: the PLC may still ask again for the part it fired before.
            if n and replay:
                self._newest = (shot, now)
            self._held.append((shot, now))
            if not by_hand:
                self._to_take.notify_all()
                self._fired(shot)
            return shot

    def count_missed(self) -> None:
        """Count a trigger that was refused before it came here."""
        with self._changed:
            self._count_missed()

    def claim(self, shot: Shot) -> bool:
        """Whether a shot that was fired by hand is the caller's to see to: once."""
        with self._changed:
            if self._in_work is not shot or self._taken or not self._by_hand:
                return False
            self._taken = True
            return True

    def take(self, within_s: float) -> Shot | None:
        """Wait for the next shot to inspect; None if there was none. For the inspection loop."""
        with self._to_take:
            self._to_take.wait_for(lambda: self._waits, timeout=within_s)
            if self._in_work is None or not self._waits:
                return None
            self._taken = True
            return self._in_work

    @property
    def _waits(self) -> bool:
        return self._in_work is not None and not self._taken and not self._by_hand

    def settle(self, shot: Shot, answer: Answer) -> bool:
        """Give a shot its answer. False if it came too late: then the deadline's answer stands."""
        with self._changed:
            self._expire(shot)
            if shot.answer is not None:
                return False
            self._give(shot, answer)
            return True

    def release(self, shot: Shot) -> None:
        """The inspection loop is done with a shot, whoever answered it."""
        with self._changed:
            if shot.answer is None:
                self._give(shot, Answer(no_decision(Code.INTERNAL, "not inspected"), 0.0))
            if self._in_work is shot:
                self._in_work = None
            self._released += 1
            self._changed.notify_all()

    def pause(self, within_s: float) -> None:
        """Wait until a part has just had its answer: then the next one is farthest away.

        For work beside the inspections that holds them up, as loading a model does. Returns at
        once while no triggers are taken, and after `within_s` when none come.
        """
        with self._changed:
            before = self._released
            if not self._changed.wait_for(
                lambda: self._closed or self._released != before, timeout=within_s
            ):
                return
        if not self._closed:
            time.sleep(ANSWER_LEAVES_S)

    def wait(self, shot: Shot, until: float) -> Answer | None:
        """Wait for a shot's answer until a monotonic moment; at the deadline there is always one.

        None only if `until` lies before the deadline and there is no answer yet.
        """
        with self._changed:
            while shot.answer is None:
                now = self._clock()
                if now >= shot.deadline.ends_at:
                    self._expire(shot)
                    break
                if now >= until:
                    return None
                self._changed.wait(min(until, shot.deadline.ends_at) - now)
            return shot.answer

    def shot(self, n: int) -> Shot | None:
        """The newest shot with this number, as long as the number stands for its part.

        None afterwards: a PLC whose trigger got lost must never be handed the answer
        that an earlier part got under the same number.
        """
        with self._changed:
            self._expire()
            oldest = self._clock() - self._replay_window_s
            held = ((shot, at) for shot, at in reversed(self._held) if shot.n == n)
            return next((shot for shot, at in held if at >= oldest), None)

    def last_answered(self) -> Shot | None:
        """The shot that was answered last."""
        with self._changed:
            self._expire()
            return self._results[-1][1] if self._results else None

    def answered_since(self, completed: int) -> tuple[int, list[Shot]]:
        """The answers given after the first `completed` ones, oldest first.

        Returns:
            The number of answers given so far, and the shots: fewer than the difference
            where the caller was more than `HELD_ANSWERS` behind.
        """
        with self._changed:
            self._expire()
            return self._completed, [shot for at, shot in self._results if at > completed]

    def counters(self) -> tuple[Counters, Counters]:
        """Copies of the shift's and the lifetime's counters as of one moment."""
        with self._changed:
            return replace(self.shift), replace(self.life)

    def clear_error(self) -> None:
        """Clear what was latched."""
        with self._changed:
            self._missed_latch = False

    def reset_shift(self) -> Counters:
        """Start the shift's counters anew; returns the closing values."""
        with self._changed:
            self._expire()
            closing = self.shift
            self.shift = Counters(closing.camera, "shift")
            return closing

    def _repeated(self, n: int, part: str, job: int | None, now: float) -> Shot | None:
        if self._newest is None:
            return None
        shot, first_at = self._newest
        if shot.n != n or now - first_at > self._replay_window_s:
            return None
        if shot.part != part or job not in (None, shot.job):
            raise Refused(
                Code.NUMBER_REUSED, f"trigger {n} was fired for part {shot.part!r} just now"
            )
        return shot

    def _check_acceptable(self, job: int | None) -> None:
        refusal = next(iter(self._closed.items()), None)
        if refusal is None and self._in_work is not None:
            refusal = Code.BUSY, f"busy with trigger {self._in_work.n}"
        if refusal is None and job not in (None, self._job):
            refusal = Code.UNKNOWN_JOB, f"job {self._job} is loaded, not {job}"
        if refusal is not None:
            self._count_missed()
            raise Refused(*refusal)

    def _count_missed(self) -> None:
        self.shift.missed += 1
        self.life.missed += 1
        self._missed_latch = True
        self._missed()

    def _next_number(self) -> int:
        return (self._held[-1][0].n if self._held else 0) % MAX_NUMBER + 1

    def _expire(self, shot: Shot | None = None) -> None:
        """Give the deadline's answer to the shot in work (or `shot`) if its time is over."""
        shot = shot or self._in_work
        if shot is None or shot.answer is not None:
            return
        if self._clock() >= shot.deadline.ends_at:
            budget = shot.deadline.budget_ms
            verdict = no_decision(Code.DEADLINE, f"no decision within {budget:.0f} ms")
            self._give(shot, Answer(verdict, budget))

    def _give(self, shot: Shot, answer: Answer) -> None:
        shot.answer = answer
        self._completed += 1
        self._results.append((self._completed, shot))
        if not shot.test:
            self.shift.count(answer.verdict.decision)
            self.life.count(answer.verdict.decision)
        self._answered(shot)
        self._changed.notify_all()
