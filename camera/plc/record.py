"""The record every PLC answer is made of, and its two encodings. See docs/plc.md."""

from __future__ import annotations

import json
import operator
from dataclasses import asdict, dataclass
from enum import IntEnum, IntFlag

from edge_app.inference.judge import Decision

VERSION = 1
NO_CLASS = 999
MAX_CLASS = 998
MAX_SCORE = 10_000

WIDTHS = {
    "v": 1,
    "n": 5,
    "id": 10,
    "decision": 1,
    "class_id": 3,
    "score": 5,
    "ms": 5,
    "code": 3,
    "status": 5,
    "job": 3,
    "beat": 5,
}
"""Field and digits, in the order of the line: columns 0, 2, 8, 19, 21, 25, 31, 37, 41, 47, 51."""

LINE_BYTES = sum(WIDTHS.values()) + len(WIDTHS) - 1 + 2


_FORM = b",".join(b"%%0%dd" % width for width in WIDTHS.values()) + b"\r\n"
_MOST = tuple(10**width - 1 for width in WIDTHS.values())
_numbers = operator.attrgetter(*WIDTHS)


class PlcDecision(IntEnum):
    """The decision as a number; a PLC passes a part on 1 alone."""

    NOT_YET = 0
    OK = 1
    NG = 2
    REVIEW = 3
    NONE = 4

    @classmethod
    def of(cls, decision: Decision) -> PlcDecision:
        """The number for a decision."""
        return cls[decision.name]


class Status(IntFlag):
    """Bits of the status word, in the record and in Modbus input register 0."""

    READY = 1 << 0
    TRIGGER_ACK = 1 << 1
    BUSY = 1 << 2
    RESULTS_VALID = 1 << 3
    COMPLETED = 1 << 4
    PASS = 1 << 5
    FAIL = 1 << 6
    REVIEW = 1 << 7
    MISSED = 1 << 8
    OVERRUN = 1 << 9
    ERROR = 1 << 10
    WARNING = 1 << 11
    ONLINE = 1 << 12
    JOB_LOADING = 1 << 13
    COMMAND_FAILED = 1 << 14
    HEARTBEAT = 1 << 15


@dataclass(frozen=True, slots=True)
class PlcRecord:
    """One answer to a PLC.

    Args:
        n: Trigger number, 1..65535; 0 where none is known.
        id: Inspection id; 0 where nothing was inspected.
        decision: 0 none yet, 1 OK, 2 NG, 3 REVIEW, 4 no decision.
        class_id: The label's place, 0..998; 999 for none.
        score: 0..10000, hundredths of a percent.
        ms: Trigger to decision.
        code: Why there is no decision, or a warning; 0 fine.
        status: The status word.
        job: The job that judged.
        beat: Heartbeat count of the inspection loop, modulo 65536.
    """

    n: int = 0
    id: int = 0
    decision: PlcDecision = PlcDecision.NOT_YET
    class_id: int = NO_CLASS
    score: int = 0
    ms: int = 0
    code: int = 0
    status: int = 0
    job: int = 0
    beat: int = 0
    v: int = VERSION

    def to_line(self) -> bytes:
        """The fixed-width line: always 58 bytes, ASCII, ending in CR LF."""
        numbers = _numbers(self)
        line = _FORM % numbers
        if len(line) != LINE_BYTES:
            # A number that outgrew its columns must not shift the ones behind it.
            line = _FORM % tuple(map(min, numbers, _MOST))
        return line

    def to_json(self) -> bytes:
        """The same as JSON, without spaces."""
        values = {("class" if k == "class_id" else k): int(asdict(self)[k]) for k in WIDTHS}
        return json.dumps(values, separators=(",", ":")).encode("ascii")

    @classmethod
    def from_line(cls, line: bytes) -> PlcRecord:
        """Read a line, as a client would.

        Raises:
            ValueError: It is not such a line.
        """
        if len(line) != LINE_BYTES or not line.endswith(b"\r\n"):
            raise ValueError(f"expected {LINE_BYTES} bytes ending in CR LF, got {line!r}")
        texts = line[:-2].decode("ascii").split(",")
        if [len(text) for text in texts] != list(WIDTHS.values()) or not all(
            text.isdigit() for text in texts
        ):
            raise ValueError(f"expected {len(WIDTHS)} numbers of fixed width, got {line!r}")
        values = dict(zip(WIDTHS, map(int, texts), strict=True))
        return cls(**(values | {"decision": PlcDecision(values["decision"])}))  # type: ignore[arg-type]  # decision is replaced


def score_of(share: float) -> int:
    """A score 0..1 in hundredths of a percent; a score that is no number is 0."""
    return round(min(max(share, 0.0), 1.0) * MAX_SCORE) if share == share else 0  # noqa: PLR0124 - NaN


def class_of(label_index: int) -> int:
    """A label's place in three digits; 999 where there is none or it does not fit."""
    return label_index if 0 <= label_index <= MAX_CLASS else NO_CLASS
