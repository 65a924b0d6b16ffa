"""Who is still at work is answered for, at the deadline and not before."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from camera import keeper as keeper_module
from camera.keeper import Keeper
from camera.plc.record import PlcDecision, PlcRecord
from edge_app.inference.judge import Code


def test_what_is_due_is_done_in_its_order() -> None:
    """Later moments first or last: each act comes once, at its own."""
    keeper, done = Keeper(), list[tuple[int, float]]()
    began = time.monotonic()
    for key, after_s in ((1, 0.3), (2, 0.1), (3, 0.2)):
        moment = began + after_s
        keeper.keep(key, moment, lambda key=key, moment=moment: done.append((key, moment)))  # type: ignore[misc]
    time.sleep(0.6)

    assert [key for key, _ in done] == [2, 3, 1]


def test_what_is_forgotten_is_not_done() -> None:
    """Nor does a failing act keep others from theirs."""
    keeper, done = Keeper(), list[int]()
    now = time.monotonic()
    keeper.keep(1, now + 0.2, lambda: done.append(1))
    keeper.keep(2, now + 0.1, lambda: 1 // 0)
    keeper.keep(3, now + 0.3, lambda: done.append(3))
    keeper.forget(1)
    time.sleep(0.6)

    assert done == [3]


class NoThreads:
    """The standard library's module on a system that gives no thread any more."""

    class Thread:
        """Never starts."""

        def __init__(self, **_what: object) -> None: ...

        def start(self) -> None:
            """As the interpreter says it."""
            raise RuntimeError("can't start new thread")


@pytest.mark.failsafe(
    "the system gives no thread",
    "the decision; decision 4 where it is late",
    "as ever; a late one when it is done",
    "the decision, or NONE with code 23",
    "by itself, with the next thread it gets",
)
def test_a_part_is_seen_to_where_the_system_gives_no_thread(
    rig: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could answer in its place, but it is judged, and so is the next one."""
    line = rig().start()
    with kept_connection(line.port) as ask:
        ask("/plc/status")
        # Only a system at its limit refuses threads, and that would refuse them to the test.
        monkeypatch.setattr(keeper_module, "threading", NoThreads)
        first = ask("/plc/trigger?n=1")
        monkeypatch.undo()
        second = ask("/plc/trigger?n=2")

    assert [(record.n, record.code) for record in (first, second)] == [(1, 0), (2, 0)]
    assert PlcDecision.NONE not in (first.decision, second.decision)


@contextlib.contextmanager
def kept_connection(port: int) -> Iterator[Callable[[str], PlcRecord]]:
    """A PLC that keeps its connection; gives what asks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(target: str) -> PlcRecord:
        connection.request("GET", target)
        return PlcRecord.from_line(connection.getresponse().read())

    try:
        yield ask
    finally:
        connection.close()


def test_the_connection_goes_on_while_the_model_hangs(
    rig: Callable[..., Any], until: Callable[..., None]
) -> None:
    """The deadline's answer comes by itself; the same connection is told busy, then judged."""
    line = rig(deadline_ms=300).start()
    free = threading.Event()
    line.eyes.before = lambda: free.wait(10)

    with kept_connection(line.port) as ask:
        late = ask("/plc/trigger?n=1")
        busy = ask("/plc/trigger?n=2")
        free.set()
        until(lambda: line.station.ready)
        good = ask("/plc/trigger?n=3")

    assert (late.decision, late.code) == (PlcDecision.NONE, Code.DEADLINE)
    assert (busy.decision, busy.code) == (PlcDecision.NONE, Code.BUSY)
    assert (good.n, good.code) == (3, Code.FINE)
    assert good.decision in (PlcDecision.OK, PlcDecision.NG)


@pytest.mark.parametrize("target", ["/plc/trigger?n=1&wait=0", "/plc/trigger?n=1&wait=20"])
def test_who_does_not_wait_is_told_at_once(
    rig: Callable[..., Any], until: Callable[..., None], target: str
) -> None:
    """A short `wait` gives decision 0 while the part is looked at; the result can be fetched."""
    line = rig().start()
    free = threading.Event()
    line.eyes.before = lambda: free.wait(10)

    with kept_connection(line.port) as ask:
        first = ask(target)
        assert ask("/plc/result?n=1").decision is PlcDecision.NOT_YET
        free.set()
        until(lambda: ask("/plc/result?n=1").decision is not PlcDecision.NOT_YET)

    assert (first.n, first.decision) == (1, PlcDecision.NOT_YET)
