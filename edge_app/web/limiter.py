"""Bounds how often one client may ask, and how often somebody may guess a password."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from functools import lru_cache

from edge_app.web.errors import ApiError

MAX_CLIENTS = 10_000
"""Beyond that the client that was quiet for longest is forgotten."""

FREE_GUESSES = 5
LONGEST_WAIT_S = 300.0


class Limiter:
    """A bucket for each address: it fills at a rate, and holds two seconds' worth.

    Programs on this device are not bounded.

    Args:
        rate_hz: Requests a second; 0 for no bound.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Take one from the address's bucket.

        Raises:
            ApiError: It is empty.
        """
        if self._rate_hz <= 0 or _is_local(address):
            return
        now, full = time.monotonic(), 2 * self._rate_hz
        with self._lock:
            left, at = self._left.pop(address, (full, now))
            left = min(full, left + (now - at) * self._rate_hz) - 1
            self._left[address] = (max(left, -1.0), now)
            if len(self._left) > MAX_CLIENTS:
                self._left.popitem(last=False)
        if left < 0:
            raise ApiError(429, "too_many_requests", f"at most {self._rate_hz:g} a second")


class Guesses:
    """Makes guessing slow: after some wrong passwords each further one costs a longer wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def check(self, *keys: str) -> None:
        """Refuse who has to wait.

        Args:
            keys: The address, and the name that is tried.

        Raises:
            ApiError: There were too many wrong passwords.
        """
        now = time.monotonic()
        with self._lock:
            wait_s = max((self._wrong.get(key, (0, 0.0))[1] - now for key in keys), default=0.0)
        if wait_s > 0:
            raise ApiError(429, "too_many_guesses", f"try again in {wait_s:.0f} s")

    def wrong(self, *keys: str) -> None:
        """Count a wrong password."""
        with self._lock:
            for key in keys:
                count = self._wrong.pop(key, (0, 0.0))[0] + 1
                wait_s = min(2.0 ** (count - FREE_GUESSES), LONGEST_WAIT_S)
                until = time.monotonic() + (wait_s if count >= FREE_GUESSES else 0.0)
                self._wrong[key] = (count, until)
            while len(self._wrong) > MAX_CLIENTS:
                self._wrong.popitem(last=False)

    def right(self, *keys: str) -> None:
        """Forget the wrong ones."""
        with self._lock:
            for key in keys:
                self._wrong.pop(key, None)


@lru_cache(1024)
def _is_local(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
