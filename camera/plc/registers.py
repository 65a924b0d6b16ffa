"""The 72 input registers: the record and what is live, as one consistent snapshot."""

from __future__ import annotations

from camera.line import Line
from camera.plc.handshake import Handshake, Result
from camera.plc.http import line_status, shot_record
from camera.plc.record import Status
from camera.shot import MAX_PART_CHARS, Shot
from edge_app.inference.judge import Code
from edge_app.jobs import MAX_NUMBER

INPUT_WORDS = 72
TEXT_WORDS = 16
U16 = 0xFFFF
U32 = 0xFFFF_FFFF

HANDSHAKE_BITS = (
    Status.READY
    | Status.TRIGGER_ACK
    | Status.RESULTS_VALID
    | Status.COMPLETED
    | Status.PASS
    | Status.FAIL
    | Status.REVIEW
    | Status.OVERRUN
)
"""What the handshake knows better than the line."""


class LineDesk:
    """The line as the handshake wants it. See `handshake.Desk`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def fire(self, n: int, part: str, *, test: bool) -> Shot:
        """A trigger; the register's edge makes a repeat impossible."""
        return self._line.station.fire(
            "modbus", n=n, part=part[:MAX_PART_CHARS], test=test, replay=False
        )

    def answered_since(self, completed: int) -> tuple[int, list[Shot]]:
        """See `Station.answered_since`."""
        return self._line.station.answered_since(completed)

    def result(self, shot: Shot) -> Result:
        """A shot as the registers show it."""
        answer = shot.answer
        return Result(
            record=shot_record(self._line, shot),
            part=shot.part,
            label=answer.label if answer else "",
            exposed_at=answer.exposed_at if answer else 0.0,
        )

    def ready(self) -> bool:
        """Whether a trigger would be taken."""
        return self._line.station.ready

    def load_job(self, number: int) -> bool:
        """Begin to load a job; False if there can't be such a number."""
        if not 1 <= number <= MAX_NUMBER:
            return False
        self._line.load_job(number)
        return True

    def set_offline(self, offline: bool) -> None:
        """Take the line off, or put it back."""
        if offline:
            self._line.station.close(Code.OFFLINE, "set offline by the PLC")
        else:
            self._line.station.lift(Code.OFFLINE)

    def count_missed(self) -> None:
        """A trigger without Trigger Enable."""
        self._line.station.count_missed()

    def clear_error(self) -> None:
        """Clear what the line has latched."""
        self._line.clear_error()

    def reset_counters(self) -> None:
        """Begin a new shift."""
        self._line.reset_shift("modbus")


def input_registers(line: Line, handshake: Handshake) -> list[int]:
    """IR 0-71 as of one moment."""
    with handshake.lock:
        result, bits = handshake.shown()
        status = (line_status(line) & ~HANDSHAKE_BITS) | bits
        warning = handshake.code or line.warning
        if handshake.code:
            status |= Status.WARNING
        record = result.record
        return [
            *(int(status), line.beat & U16, record.n, int(record.decision)),
            *(record.class_id, record.score, min(record.ms, U16), record.code),
            *_u32(record.id),
            *(record.job, line.station.job, line.loaded.crc if line.loaded else 0),
            *(int(warning), handshake.waiting, handshake.overruns),
            *_counters(line),
            *_machine(line),
            *_exposure(result.exposed_at),
            *(line.doctor.clock, 0, 0, 0, 0),
            *_text(result.part),
            *_text(result.label),
        ]


def _counters(line: Line) -> list[int]:
    shift, _ = line.station.counters()
    counts = (shift.total, shift.ok, shift.ng, shift.review, shift.none, shift.missed)
    return [word for count in counts for word in _u32(count)]


def _machine(line: Line) -> list[int]:
    spent = line.latency.percentiles()
    tenths = round(max(0.0, line.doctor.known.celsius or 0.0) * 10)
    return [*(min(round(spent[name]), U16) for name in ("max", "mean", "p99")), min(tenths, U16)]


def _exposure(exposed_at: float) -> list[int]:
    total_ms = int(max(0.0, exposed_at) * 1000)
    return [*_u32(total_ms // 1000), total_ms % 1000]


def _u32(value: int) -> tuple[int, int]:
    """Big-endian, high word first."""
    value = min(value, U32)
    return value >> 16, value & U16


def _text(text: str) -> list[int]:
    """32 ASCII characters, NUL-padded, two to a word."""
    raw = text.encode("ascii", "replace")[: TEXT_WORDS * 2].ljust(TEXT_WORDS * 2, b"\0")
    return [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]
