"""For whose request a thread works at present: its log entries and its record carry the name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("request_id", default="")


def current() -> str:
    """The id of the request that this thread works for; empty where it is nobody's."""
    return _current.get()


def begin(request_id: str) -> None:
    """This thread works for that request from now on; an empty id ends it."""
    _current.set(request_id)


@contextmanager
def on_behalf_of(request_id: str) -> Iterator[None]:
    """Work for a request for a while."""
    before = _current.set(request_id)
    try:
        yield
    finally:
        _current.reset(before)
