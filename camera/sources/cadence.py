"""Tells a live frame of a stream from one that waited in a buffer, by how it arrived.

A stream's frames carry no time that can be trusted. But whoever reads all the time waits
for each live frame about one period; a frame that is there at once has been waiting, and
one that comes after a gap was made before it. Short of a gap, a frame that comes late is
believed to be as old as its lateness allows.
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

FORGIVEN = 0.8
"""What is left of a delay with each frame that had to be waited for: a frame that a camera left
out looks like one, and must not make all that follow seem old."""


class Cadence:
    """Judges the frames of one opened stream, in order.

    Args:
        period_s: Seconds between frames as the camera states it; 0 where it does not.
    """

    def __init__(self, period_s: float = 0.0) -> None:
        self._waits: deque[float] = deque([period_s or PLAIN_PERIOD_S] * 3, maxlen=9)
        self._apart: deque[float] = deque([period_s] * 8 if period_s else (), maxlen=25)
        self._settled = False
        self.behind_s = 0.0

    @property
    def period_s(self) -> float:
        """Seconds between frames as they arrive."""
        return statistics.median(self._waits)

    def live(self, waited_s: float, apart_s: float | None = None) -> bool:
        """Whether a frame was made just now; `behind_s` is how much earlier it may have been.

        Args:
            waited_s: How long the reader waited for it.
            apart_s: How long after the frame before it came; by default as long as was waited.
        """
        period_s = self.period_s
        self._waits.append(waited_s)
        if waited_s > max(GAP * period_s, LEAST_GAP_S):
            self._settled, self.behind_s = False, 0.0
            return False
        waited = waited_s >= QUICK * period_s
        if self._settled:
            self._fall_behind(waited_s if apart_s is None else apart_s, waited=waited)
        self._settled = self._settled or waited
        return self._settled

    def _fall_behind(self, apart_s: float, *, waited: bool) -> None:
        """Add how late a frame is.

        Frames are made evenly: one that comes late may have been held up, and so may those
        behind it until the reader has to wait again.
        """
        evenly_s = statistics.fmean(self._apart) if self._apart else apart_s
        self._apart.append(min(apart_s, max(GAP * evenly_s, LEAST_GAP_S)))
        kept_s = self.behind_s * (FORGIVEN if waited else 1.0)
        self.behind_s = max(0.0, kept_s + apart_s - evenly_s)
