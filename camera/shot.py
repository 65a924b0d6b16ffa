"""One trigger on its way to an answer, the answer, and the refusal."""

from __future__ import annotations

from dataclasses import dataclass

from edge_app.inference.budget import Deadline
from edge_app.inference.judge import Code, Verdict

MAX_NUMBER = 65_535
MAX_PART_CHARS = 32
MAX_REQUEST_ID_CHARS = 64


class Refused(Exception):  # noqa: N818 - the machine's answer, not its failure
    """The trigger was not taken; nothing was fired.

    Args:
        code: Why, in the PLC contract's numbers.
        message: Why, in words.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """What the line was told of a shot; never changed once it was given.

    Args:
        verdict: The decision with its code and reason.
        ms: Trigger to decision.
        label: What the model favoured.
        label_index: That label's place, -1 without one.
        score: How sure it was, 0..1.
        warning: A warning code of the PLC contract, or 0.
        exposed_at: Wall clock of the exposure, seconds since 1970; 0 without a frame.
    """

    verdict: Verdict
    ms: float
    label: str = ""
    label_index: int = -1
    score: float = 0.0
    warning: Code = Code.FINE
    exposed_at: float = 0.0


@dataclass(slots=True)
class Shot:
    """One trigger on its way to an answer.

    Args:
        id: The inspection's id.
        n: The trigger number, 1..65535.
        part: The part's id as it came with the trigger.
        source: Who fired it: `plc`, `modbus`, `page`, `free`, `gpio`.
        job: The job it was fired under; it is judged by this one whatever is loaded since.
        deadline: When the answer becomes NONE.
        test: Not counted.
        request_id: The request to the app that fired it; empty for any other.
        answer: None until it is given.
    """

    id: int
    n: int
    part: str
    source: str
    job: int
    deadline: Deadline
    test: bool = False
    request_id: str = ""
    answer: Answer | None = None
