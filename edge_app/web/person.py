"""Who asks: set by the guard for each request, told to records and audit."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever sent a request.

    Args:
        name: As the audit log has it.
        role: `viewer`, `operator`, `engineer` or `admin`; empty for somebody unknown.
    """

    name: str = "anonymous"
    role: str = ""


def person() -> Person:
    """The one who sent the present request."""
    found = g.get("person")
    return found if isinstance(found, Person) else Person()
