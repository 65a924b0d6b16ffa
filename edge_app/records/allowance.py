"""How many bytes of pictures may be written in a day, so that the card lives."""

from __future__ import annotations

from collections.abc import Callable

from edge_app.inference.judge import Decision


class Allowance:
    """Two limits: beyond the first OK parts' pictures are not kept, beyond the second none are.

    Args:
        ok_bytes: The first limit; 0: none.
        all_bytes: The second limit; 0: none.
        spent: Bytes of pictures written today.
    """

    def __init__(
        self, ok_bytes: int = 0, all_bytes: int = 0, spent: Callable[[], int] = lambda: 0
    ) -> None:
        self._ok_bytes = ok_bytes
        self._all_bytes = all_bytes
        self._spent = spent

    def lets(self, decision: Decision) -> bool:
        """Whether a picture of a part with this decision may be written."""
        return not (self.exhausted or (decision is Decision.OK and self.sparing))

    @property
    def sparing(self) -> bool:
        """Whether the first limit is reached."""
        return bool(self._ok_bytes) and self._spent() >= self._ok_bytes

    @property
    def exhausted(self) -> bool:
        """Whether the second limit is reached."""
        return bool(self._all_bytes) and self._spent() >= self._all_bytes

    @property
    def said(self) -> str:
        """What is not kept at present, in words; empty while everything is."""
        if self.exhausted:
            return (
                f"{self._all_bytes // 1_000_000} MB of pictures today: none is kept until tomorrow"
            )
        if self.sparing:
            return f"{self._ok_bytes // 1_000_000} MB of pictures today: OK parts' are not kept"
        return ""
