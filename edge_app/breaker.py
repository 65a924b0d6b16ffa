"""The circuit breaker: a model that keeps failing is let rest, and tried again one at a time."""

from __future__ import annotations

import time

FAILURES = 5
"""So many failures in a row are no accident."""

FIRST_REST_S = 1.0
LONGEST_REST_S = 30.0


class Breaker:
    """Opens after a row of failures, lets one try through after a rest, closes when it works.

    Not thread-safe: its owner holds a lock.

    Args:
        first_rest_s: The first rest; each further failure doubles it.
    """

    def __init__(self, first_rest_s: float = FIRST_REST_S) -> None:
        self._first_rest_s = first_rest_s
        self._failures = 0
        self._rest_s = first_rest_s
        self._closed_at = 0.0

    @property
    def open(self) -> bool:
        """Whether callers are turned away."""
        return self._failures >= FAILURES

    def wait_ms(self) -> float:
        """Milliseconds until the next try is allowed; 0 lets this one through.

        While a try is under way the others wait another rest.
        """
        if not self.open:
            return 0.0
        left_s = self._closed_at - time.monotonic()
        if left_s > 0:
            return left_s * 1000
        self._closed_at = time.monotonic() + self._rest_s
        return 0.0

    def worked(self) -> None:
        """It worked: all is well."""
        self._failures = 0
        self._rest_s = self._first_rest_s

    def failed(self) -> None:
        """It failed; after a row of them the rest begins, longer each time."""
        self._failures += 1
        if self._failures > FAILURES:
            self._rest_s = min(self._rest_s * 2, LONGEST_REST_S)
        if self.open:
            self._closed_at = time.monotonic() + self._rest_s
