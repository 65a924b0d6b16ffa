"""What something takes at present, learned from measurements as they come."""

from __future__ import annotations

import time

RISE = 0.3
FALL = 0.05
"""Quick to believe that things got slower, slow to believe the contrary: what is told lies
above nearly all measurements, which is what a promise needs."""


class Estimate:
    """A cautious running figure in milliseconds.

    Args:
        first_guess_ms: What is told before anything was measured.
    """

    def __init__(self, first_guess_ms: float) -> None:
        self._ms = first_guess_ms
        self._measured_at = 0.0

    @property
    def ms(self) -> float:
        """What it takes, rather too much than too little."""
        return self._ms

    @property
    def age_s(self) -> float:
        """Seconds since the last measurement."""
        return time.monotonic() - self._measured_at

    def measured(self, ms: float) -> None:
        """Take one measurement in; the first one replaces the guess."""
        if not self._measured_at:
            self._ms = ms
        else:
            self._ms += (RISE if ms > self._ms else FALL) * (ms - self._ms)
        self._measured_at = time.monotonic()
