"""Tells a live frame of a stream from one that waited in a buffer, by how it arrived.

A stream's frames carry no time that can be trusted. But whoever reads all the time waits
for each live frame about one period; a frame that is there at once has been waiting, and
one that comes after a gap was made before it.
"""

from __future__ import annotations

import statistics
from collections import deque

QUICK = 0.5
"""Below this share of the period a frame was there already."""

GAP = 3.0
"""Beyond this many periods something stood still."""

LEAST_GAP_S = 0.25
"""Networks hold frames up for so long without anything being wrong."""

PLAIN_PERIOD_S = 0.04


class Cadence:
    """Judges the frames of one opened stream, in order.

    Args:
        period_s: Seconds between frames as the camera states it; 0 where it does not.
    """

    def __init__(self, period_s: float = 0.0) -> None:
        self._waits: deque[float] = deque([period_s or PLAIN_PERIOD_S] * 3, maxlen=9)
        self._settled = False

    @property
    def period_s(self) -> float:
        """Seconds between frames as they arrive."""
        return statistics.median(self._waits)

    def live(self, waited_s: float) -> bool:
        """Whether a frame for which the reader waited so long was made just now."""
        period_s = self.period_s
        self._waits.append(waited_s)
        if waited_s > max(GAP * period_s, LEAST_GAP_S):
            self._settled = False
            return False
        if not self._settled:
            self._settled = waited_s >= QUICK * period_s
        return self._settled
