"""The handshake of smart cameras, on registers: control word in, status word and result out.

Nothing here waits and nothing calls back: each read or write first looks what has become
of the shots since. So one PLC scan after another, dropped, doubled or late, drives the
same machine, and a test can drive it step by step.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Protocol

from camera.plc.record import PlcDecision, PlcRecord, Status
from camera.shot import Refused, Shot
from edge_app.inference.judge import Code

HELD_RESULTS = 8
"""Results that wait for the PLC in hold mode; the next one is an overrun."""

CONTROL, NUMBER, JOB, WATCHDOG, PART = 0, 1, 2, 3, 8
PART_WORDS = 16
HOLDING_WORDS = PART + PART_WORDS
"""HR 0-23: what the PLC writes."""

WATCHDOG_STEP_S = 0.1


class Control(IntFlag):
    """Bits of holding register 0."""

    TRIGGER_ENABLE = 1 << 0
    TRIGGER = 1 << 1
    RESULT_ACK = 1 << 2
    CLEAR_ERROR = 1 << 3
    RESET_COUNTERS = 1 << 4
    LOAD_JOB = 1 << 5
    HOLD = 1 << 6
    OFFLINE = 1 << 7
    HEARTBEAT = 1 << 8
    TEST = 1 << 9


CONTROL_MASK = (1 << 10) - 1


@dataclass(frozen=True, slots=True)
class Result:
    """What the registers show of one trigger.

    Args:
        record: Number, decision and the rest, as every interface tells them.
        part: The part's id as it came with the trigger.
        label: What the model favoured.
        exposed_at: Wall clock of the exposure; 0 without a frame.
    """

    record: PlcRecord
    part: str = ""
    label: str = ""
    exposed_at: float = 0.0


class Desk(Protocol):
    """What the handshake wants of the line."""

    def fire(self, n: int, part: str, *, test: bool) -> Shot: ...  # noqa: D102 - see Station.fire
    def answered_since(self, completed: int) -> tuple[int, list[Shot]]: ...  # noqa: D102
    def result(self, shot: Shot) -> Result: ...  # noqa: D102 - a shot as registers show it
    def ready(self) -> bool: ...  # noqa: D102
    def load_job(self, number: int) -> bool: ...  # noqa: D102 - False: no such number
    def set_offline(self, offline: bool) -> None: ...  # noqa: D102
    def count_missed(self) -> None: ...  # noqa: D102
    def clear_error(self) -> None: ...  # noqa: D102
    def reset_counters(self) -> None: ...  # noqa: D102


class Handshake:
    """One PLC's dialogue. Several connections share it: a reconnect goes on where it was.

    Args:
        desk: The line.
        clock: Monotonic seconds.
    """

    def __init__(self, desk: Desk, clock: Callable[[], float] = time.monotonic) -> None:
        self._desk = desk
        self._clock = clock
        self.lock = threading.RLock()
        self._words = [0] * HOLDING_WORDS
        self._results: deque[Result] = deque()
        self._shown = Result(PlcRecord())
        self._valid = False
        self._acking = False
        self._completed = False
        self._own: deque[Shot | Result] = deque()
        self._seen = desk.answered_since(0)[0]
        self._overrun = False
        self._command_failed = False
        self._refusal = Code.FINE
        self.overruns = 0
        self._tripped = False
        self._beat_at = clock()

    @property
    def words(self) -> list[int]:
        """HR 0-23 as a PLC reads them back."""
        with self.lock:
            self._look()
            return list(self._words)

    @property
    def control(self) -> Control:
        """The control word in force."""
        return Control(self._words[CONTROL])

    @property
    def waiting(self) -> int:
        """Results that wait behind the one that is shown."""
        return len(self._results)

    @property
    def code(self) -> Code:
        """Why the PLC's last wish was not met, or that its watchdog has bitten; else 0."""
        return Code.PLC_WATCHDOG if self._tripped else self._refusal

    def shown(self) -> tuple[Result, Status]:
        """The result that is shown and the handshake's own bits, as of one moment."""
        with self.lock:
            self._look()
            bits = {
                Status.TRIGGER_ACK: Control.TRIGGER in self.control,
                Status.READY: self._ready(),
                Status.RESULTS_VALID: self._valid,
                Status.COMPLETED: self._completed,
                Status.OVERRUN: self._overrun,
                Status.COMMAND_FAILED: self._command_failed,
            }
            status = Status(0)
            for bit, is_set in bits.items():
                status |= bit if is_set else Status(0)
            if self._valid:
                status |= _verdict_bits(self._shown.record.decision)
            return self._shown, status

    def write(self, address: int, values: Sequence[int]) -> None:
        """Take words for HR `address` on, all at once: data first, then the control word's edges.

        Raises:
            IndexError: Beyond the registers that can be written.
        """
        if not 0 <= address <= address + len(values) <= HOLDING_WORDS:
            raise IndexError(address)
        with self.lock:
            self._look()
            old = self._words[CONTROL]
            self._words[address : address + len(values)] = values
            if address == CONTROL:
                new, self._words[CONTROL] = self._words[CONTROL], old
                self._change_control(new & CONTROL_MASK)

    def write_bits(self, first: int, bits: Sequence[bool]) -> None:
        """Take coils: bits of the control word.

        Raises:
            IndexError: There is no such coil.
        """
        if not 0 <= first <= first + len(bits) <= 16:
            raise IndexError(first)
        with self.lock:
            self._look()
            word = self._words[CONTROL]
            for offset, is_set in enumerate(bits, first):
                word = word | 1 << offset if is_set else word & ~(1 << offset)
            self._change_control(word & CONTROL_MASK)

    def _ready(self) -> bool:
        return Control.TRIGGER_ENABLE in self.control and self._desk.ready()

    def _change_control(self, word: int) -> None:
        old = self.control
        new = Control(word)
        rising = new & ~old
        if (new ^ old) & Control.HEARTBEAT:
            self._beat_at = self._clock()
        if self._tripped:
            # A PLC that died in mid-scan may still be writing its last word: only one that
            # takes its enable back, or clears the error, has noticed.
            if Control.CLEAR_ERROR in rising or Control.TRIGGER_ENABLE not in new:
                self._tripped = False
                self._beat_at = self._clock()
            else:
                new &= ~Control.TRIGGER_ENABLE
        self._words[CONTROL] = int(new)
        self._do_commands(old, new)
        self._acknowledge(new)
        if Control.TRIGGER in rising:
            self._fire(enabled=Control.TRIGGER_ENABLE in new)

    def _do_commands(self, old: Control, new: Control) -> None:
        rising = new & ~old
        if (new ^ old) & Control.OFFLINE:
            self._desk.set_offline(Control.OFFLINE in new)
        if Control.CLEAR_ERROR in rising:
            self._overrun = self._command_failed = False
            self._refusal = Code.FINE
            self._desk.clear_error()
        if Control.RESET_COUNTERS in rising:
            self._desk.reset_counters()
        if Control.LOAD_JOB in rising:
            self._command_failed = not self._desk.load_job(self._words[JOB])
            self._refusal = Code.UNKNOWN_JOB if self._command_failed else Code.FINE

    def _acknowledge(self, control: Control) -> None:
        acking = Control.RESULT_ACK in control
        if acking and not self._acking:
            self._valid = False
        elif self._acking and not acking:
            self._show_next()
        self._acking = acking

    def _fire(self, *, enabled: bool) -> None:
        """One edge of Trigger is one shot or one refusal, and either is one result."""
        n, part = self._words[NUMBER], self._part()
        if Control.HOLD not in self.control:
            # From here on an earlier part's result would be taken for the new part's.
            self._valid = False
            self._overruns(len(self._own))
            self._own.clear()
        try:
            if not enabled:
                self._desk.count_missed()
                raise Refused(Code.NOT_ENABLED, "Trigger Enable is off")
            self._own.append(self._desk.fire(n, part, test=Control.TEST in self.control))
            self._refusal = Code.FINE
        except Refused as refusal:
            self._refusal = refusal.code
            record = PlcRecord(n=n, decision=PlcDecision.NONE, code=int(refusal.code))
            if len(self._own) < HELD_RESULTS:
                self._own.append(Result(record, part))
            else:
                self._overruns(1)
        self._deliver_own()

    def _part(self) -> str:
        raw = b"".join(word.to_bytes(2, "big") for word in self._words[PART:])
        text = raw.split(b"\0", 1)[0].decode("ascii", "replace")
        return "".join(letter if letter.isprintable() else "?" for letter in text).rstrip()

    def _look(self) -> None:
        """See what has become of the shots, and whether the PLC still lives."""
        self._watch()
        completed, shots = self._desk.answered_since(self._seen)
        missing = completed - self._seen - len(shots)
        self._seen = completed
        self._deliver_own()
        if Control.TRIGGER_ENABLE in self.control:
            # A PLC that fires must never take another's part for its own.
            return
        self._overruns(missing)
        for shot in shots:
            if shot.source not in ("modbus", "page"):
                self._deliver(self._desk.result(shot))

    def _deliver_own(self) -> None:
        """In the order of the triggers: a refusal does not overtake the part before it."""
        while self._own:
            first = self._own[0]
            if isinstance(first, Shot):
                if first.answer is None:
                    return
                first = self._desk.result(first)
            self._own.popleft()
            self._deliver(first)

    def _watch(self) -> None:
        limit_s = self._words[WATCHDOG] * WATCHDOG_STEP_S
        if not limit_s or Control.TRIGGER_ENABLE not in self.control:
            self._beat_at = self._clock()
        elif self._clock() - self._beat_at > limit_s:
            self._tripped = True
            self._words[CONTROL] &= ~Control.TRIGGER_ENABLE

    def _deliver(self, result: Result) -> None:
        if Control.HOLD not in self.control:
            self._results.clear()
            self._show(result)
            return
        if len(self._results) >= HELD_RESULTS - int(self._valid):
            # The newest is given up: those that wait are the older parts', and come in order.
            self._overruns(1)
            return
        self._results.append(result)
        if not self._valid and not self._acking:
            self._show_next()

    def _overruns(self, count: int) -> None:
        self._overrun |= count > 0
        self.overruns = (self.overruns + count) % 65_536

    def _show_next(self) -> None:
        if self._results:
            self._show(self._results.popleft())

    def _show(self, result: Result) -> None:
        self._shown = result
        self._valid = True
        self._completed = not self._completed


def _verdict_bits(decision: PlcDecision) -> Status:
    """Pass or Fail, never both."""
    if decision is PlcDecision.OK:
        return Status.PASS
    return Status.FAIL | (Status.REVIEW if decision is PlcDecision.REVIEW else Status(0))
