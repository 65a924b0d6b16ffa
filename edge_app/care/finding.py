"""What a check found: one line in words, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is, from good to bad."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


EXIT = {State.OK: 0, State.WARNING: 3, State.FAULT: 1}
"""Exit status for the worst that was found; 2 is a wrong command line."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        about: What was looked at, e.g. `camera cam1`.
        state: How it is.
        text: What was found.
        todo: What a person can do; empty where there is nothing to do.
    """

    about: str
    state: State
    text: str
    todo: str = ""

    def to_json(self) -> dict[str, str]:
        """The form for programs."""
        return asdict(self)


def ok(about: str, text: str) -> Finding:
    """All is well."""
    return Finding(about, State.OK, text)


def warning(about: str, text: str, todo: str) -> Finding:
    """Parts are judged, and something should be seen to."""
    return Finding(about, State.WARNING, text, todo)


def fault(about: str, text: str, todo: str) -> Finding:
    """Something does not work."""
    return Finding(about, State.FAULT, text, todo)


def worst(findings: Iterable[Finding]) -> State:
    """The worst of them."""
    order = list(State)
    return max((finding.state for finding in findings), key=order.index, default=State.OK)


def told(findings: Iterable[Finding]) -> str:
    """The findings as a technician reads them."""
    entries = list(findings)
    width = max((len(entry.about) for entry in entries), default=0)
    lines = []
    for entry in entries:
        lines.append(f"{entry.state:8} {entry.about:{width}}  {entry.text}")
        if entry.todo:
            lines.append(f"{'':8} {'':{width}}  -> {entry.todo}")
    lines.append(_summary(entries))
    return "\n".join(lines)


def _summary(entries: list[Finding]) -> str:
    counts = {state: sum(entry.state is state for entry in entries) for state in State}
    bad = [(counts[State.FAULT], "fault"), (counts[State.WARNING], "warning")]
    said = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in bad if count]
    return ", ".join(said) or "all is well"
