"""Time: one deadline for a part, and the laps that it was spent on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


class TooLate(Exception):  # noqa: N818 - the glossary's name, read as a sentence where it is raised
    """The deadline passed before there was an answer."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The moment by which an answer counts, on the monotonic clock.

    Made once, where the work arrives, and passed down; every wait below it is
    bounded by what is left.

    Args:
        started_at: Monotonic seconds at which the work arrived.
        budget_ms: Milliseconds the work may take from then on.
    """

    started_at: float
    budget_ms: float

    @classmethod
    def start(cls, budget_ms: float, started_at: float | None = None) -> Deadline:
        """A deadline that began now, or at `started_at` (monotonic seconds)."""
        return cls(time.monotonic() if started_at is None else started_at, budget_ms)

    @property
    def ends_at(self) -> float:
        """Monotonic seconds at which the budget is used up."""
        return self.started_at + self.budget_ms / 1000

    def left_s(self) -> float:
        """Seconds left, never negative: fit for any `timeout=`."""
        return max(0.0, self.ends_at - time.monotonic())

    def left_ms(self) -> float:
        """Milliseconds left, never negative."""
        return self.left_s() * 1000

    def passed(self) -> bool:
        """Whether the moment has gone by."""
        return time.monotonic() >= self.ends_at

    def used_ms(self) -> float:
        """Milliseconds since the work arrived."""
        return (time.monotonic() - self.started_at) * 1000

    def check(self, doing: str) -> None:
        """Raise `TooLate` if the deadline has passed; `doing` names the stage for the message."""
        if self.passed():
            raise TooLate(f"deadline of {self.budget_ms:.0f} ms passed before {doing}")


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds per stage, in the order in which the stages were passed."""

    last: float = field(default_factory=time.monotonic)
    laps_ms: dict[str, float] = field(default_factory=dict)

    def lap(self, stage: str) -> float:
        """End the stage that ran since the last lap; returns its milliseconds."""
        now = time.monotonic()
        spent = (now - self.last) * 1000
        self.laps_ms[stage] = self.laps_ms.get(stage, 0.0) + spent
        self.last = now
        return spent
