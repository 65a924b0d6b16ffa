"""A person's word on an inspection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Review:
    """What a person said of an inspection afterwards.

    Args:
        inspection: Its id.
        verdict: OK or NG.
        person: Who.
        note: In their words.
        at: Wall clock, seconds since 1970.
    """

    inspection: int
    verdict: str
    person: str
    note: str
    at: float

    def to_json(self) -> dict[str, object]:
        """The form the API shows."""
        return {"verdict": self.verdict, "by": self.person, "note": self.note, "at": self.at}
