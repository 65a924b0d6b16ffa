"""What happened, counted; and what must never happen, kept with its circumstances."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

MAX_KEPT = 50
"""Violations of one kind that are kept word for word; all are counted."""

INVARIANTS = {
    "false-ok": "no part that is not good is answered OK",
    "ok-with-code": "an OK carries no code that says there was no decision",
    "wrong-number": "an answer carries the number of its trigger",
    "wrong-verdict": "a decided part gets its own verdict, not another's",
    "id-twice": "no inspection id stands for two parts",
    "not-final": "an answer read again, or fired again, is the same answer",
    "ok-without-part": "no OK while there is nothing under the camera",
    "bad-reply": "the line answers with a record or not at all",
    "record-differs": "the record on disk says what the PLC was told",
    "record-missing": "an answer without the storage warning is on disk",
    "counters": "the counters are the sum of the records",
    "upload-verdict": "an upload gets the verdict of its own picture",
    "upload-status": "an upload is answered, refused at once (503) or timed out (504), not failed",
    "bad-upload": "what is no picture is refused with 4xx",
    "bad-model": "what is no model is never stored",
    "not-back": "a program is back within its time after a fault",
    "memory": "memory does not grow",
    "descriptors": "open files do not grow",
    "stop": "all programs end within their time when told to",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A part that a PLC was told of."""

    id: int
    n: int
    part: str
    decision: str
    code: int


@dataclass(slots=True)
class Ledger:
    """Shared by all who take part; every method may be called from any thread."""

    counts: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    times_ms: list[float] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, number: int = 1) -> None:
        """Count something ordinary."""
        with self._lock:
            self.counts[what] += number

    def violate(self, invariant: str, words: str) -> None:
        """An invariant broke.

        Args:
            invariant: A key of `INVARIANTS`.
            words: The circumstances.
        """
        said = INVARIANTS[invariant]
        with self._lock:
            self.broken[invariant] += 1
            if self.broken[invariant] <= MAX_KEPT:
                self.words.append(f"{self.at_s():8.1f} s  {said}: {words}")

    def note(self, event: str) -> None:
        """A fault, or its end."""
        with self._lock:
            self.events.append((round(self.at_s(), 1), event))

    def at_s(self) -> float:
        """Seconds since the soak began."""
        return time.monotonic() - self.began

    def answered(self, answer: Answer, spent_ms: float) -> None:
        """A part was answered; its id must be new, or stand for the same part."""
        with self._lock:
            known = self.answers.get(answer.id)
            self.answers[answer.id] = answer
            self.times_ms.append(spent_ms)
            self.counts[f"answer {answer.decision}"] += 1
            if answer.code:
                self.counts[f"code {answer.code}"] += 1
        if known is not None and known != answer:
            self.violate("id-twice", f"{known} and {answer}")

    @property
    def whole(self) -> bool:
        """Whether no invariant broke."""
        return not self.broken
