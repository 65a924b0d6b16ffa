"""How many parts had which verdict."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from edge_app.inference.judge import Decision


@dataclass(slots=True)
class Counters:
    """How many inspections of a camera had which verdict.

    Args:
        camera: Whose.
        span: `shift` or `life`.
        ok: Parts that were OK; `ng`, `review` and `none` likewise.
        missed: Triggers that were refused.
        since: Wall clock of the start.
        last_id: The newest inspection that is counted.
    """

    camera: str
    span: str
    ok: int = 0
    ng: int = 0
    review: int = 0
    none: int = 0
    missed: int = 0
    since: float = field(default_factory=time.time)
    last_id: int = 0

    @property
    def total(self) -> int:
        """Inspections answered: the sum of the four verdicts, always."""
        return self.ok + self.ng + self.review + self.none

    def count(self, decision: Decision, inspection_id: int) -> None:
        """Count one answer."""
        name = decision.name.lower()
        setattr(self, name, getattr(self, name) + 1)
        self.last_id = inspection_id
