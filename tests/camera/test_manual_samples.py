"""The manual's sample blocks do what the manual says, scan by scan, on a running line."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structured_text import Block

from camera.plc.modbus import ModbusPort

pymodbus = pytest.importorskip("pymodbus.client", reason="pymodbus is not installed")
MANUAL = (Path(__file__).parents[2] / "docs" / "plc.md").read_text(encoding="utf-8")


def sample(language: str) -> Block:
    """The manual's block in one language."""
    found = re.search(rf"```{language}\n(.*?)```", MANUAL, re.DOTALL)
    assert found is not None
    return Block(found[1])


class Plc:
    """A PLC that runs the sample: read, one scan, write."""

    def __init__(self, port: int) -> None:
        self.block = sample("st")
        self.client = pymodbus.ModbusTcpClient("127.0.0.1", port=port, timeout=5)
        assert self.client.connect()

    def scan(self, *, fire: bool = False, part: str = "") -> bool:
        """One cycle; whether the block is done with a part."""
        block, client = self.block, self.client
        block.values["ir"] = client.read_input_registers(0, count=72).registers
        block(time.monotonic(), xFire=fire, sPart=part, xComOk=True)
        client.write_registers(0, block.values["hr"])
        return bool(block.values["xDone"])

    def until(self, condition: Callable[[], object]) -> None:
        """Scan until something is so."""
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, self.block.values
            self.scan()

    def inspect(self, part: str) -> tuple[bool, int]:
        """One part as soon as the block is ready: pass and code."""
        self.until(lambda: self.block.values["xReady"])
        if not self.scan(fire=True, part=part):
            self.until(lambda: self.block.values["xDone"])
        return self.block.values["xPass"], self.block.values["uiCode"]


class Wired:
    """A line and the PLC at its Modbus port."""

    def __init__(self, line: Any) -> None:
        self.line = line
        self.server = ModbusPort(line.line, "control", ("127.0.0.1", 0))
        self.server.start()
        self.plc = Plc(self.server.server_address[1])


@pytest.fixture
def wired(rig: Callable[..., Any]) -> Iterator[Wired]:
    """Both of them, running."""
    made = Wired(rig().start())
    yield made
    made.plc.client.close()
    made.server.stop()


def test_good_parts_pass_and_others_do_not(wired: Wired) -> None:
    """The block's pass follows the part, and the record has its number and id."""
    assert wired.plc.inspect("AB12") == (True, 0)
    last = wired.line.station.last_answered()
    assert (last.n, last.part) == (1, "AB12")

    wired.line.eyes.invoke = lambda _: {"scores": np.array([[0.0, 1.0]], np.float32)}
    assert wired.plc.inspect("AB13") == (False, 0)
    assert wired.line.station.last_answered().n == 2


@pytest.mark.failsafe(
    "the PLC restarts, and somebody's result still stands",
    "the manual's block puts it away; it passes nothing",
    "a few scans",
    "nothing",
    "by itself",
)
def test_what_was_left_from_before_is_put_away(wired: Wired) -> None:
    """Somebody's good result stands in the registers as the PLC starts: it passes nothing."""
    wired.line.fire(4711, part="OTHER")
    assert not any(wired.plc.scan() for _ in range(5))
    assert wired.plc.inspect("MINE") == (True, 0)
    assert wired.line.station.last_answered().part == "MINE"


@pytest.mark.failsafe(
    "an answer comes after the PLC's own timer",
    "the manual's block has rejected the part with code 23, and puts the late result away",
    "400 ms",
    "the part as it was decided",
    "with the next part",
)
def test_an_answer_after_the_plcs_own_timer_is_a_reject(wired: Wired) -> None:
    """The part is given up with code 23, its late result is put away, the next part is judged."""
    go_on = threading.Event()
    wired.line.eyes.before = go_on.wait
    assert wired.plc.inspect("SLOW") == (False, 23)

    wired.line.eyes.before = lambda: None
    go_on.set()
    assert wired.plc.inspect("NEXT") == (True, 0)


def test_a_part_too_early_rejects_itself_and_the_one_in_work(wired: Wired) -> None:
    """Nobody could say whose result it would be."""
    go_on = threading.Event()
    wired.line.eyes.before = go_on.wait
    wired.plc.until(lambda: wired.plc.block.values["xReady"])
    assert not wired.plc.scan(fire=True, part="FIRST")
    assert not wired.plc.scan()
    assert wired.plc.scan(fire=True, part="EARLY")
    assert (wired.plc.block.values["xPass"], wired.plc.block.values["uiCode"]) == (False, 20)
    go_on.set()
    assert wired.plc.scan()
    assert not wired.plc.block.values["xPass"]
    assert wired.plc.inspect("NEXT") == (True, 0)


def test_the_block_comes_back_from_the_lines_watchdog(wired: Wired) -> None:
    """A PLC that was away too long clears code 60 by itself."""
    wired.plc.block.values["hr"][3] = 5
    assert wired.plc.inspect("A") == (True, 0)
    time.sleep(0.8)
    wired.plc.scan()
    assert wired.plc.block.values["ir"][13] == 60
    assert wired.plc.inspect("B") == (True, 0)


GOOD = "1,00017,0000070001,1,003,09876,00042,000,00043,003,12345\r\n"


@pytest.mark.parametrize(
    ("answer", "status", "waited_s", "told"),
    [
        (GOOD, 200, 0.1, (True, 0)),
        (GOOD.rstrip(), 200, 0.1, (True, 0)),
        (GOOD, 200, 0.5, (False, 23)),
        (GOOD, 503, 0.1, (False, 0)),
        (GOOD.replace("00017", "00018"), 200, 0.1, (False, 0)),
        (GOOD.replace(",1,003", ",2,003"), 200, 0.1, (False, 0)),
        (GOOD.replace(",1,003", ",0,003"), 200, 0.1, (False, 0)),
        (GOOD.replace(",1,003", ",4,999").replace("042,000", "200,023"), 200, 0.1, (False, 23)),
        (GOOD[:40], 200, 0.1, (False, 0)),
        ("2" + GOOD[1:], 200, 0.1, (False, 0)),
        ("", 200, 0.1, (False, 0)),
    ],
)
def test_the_scl_block_follows_the_pass_rule(
    answer: str, status: int, waited_s: float, told: tuple[bool, int]
) -> None:
    """Status, number, decision and timer must all agree; what comes afterwards changes nothing."""
    block = sample("scl")
    block(10.0, start=True, number=17)
    assert not block.values["done"]
    came = {"received": True, "httpStatus": status, "answer": answer}
    block(10.0 + waited_s, **came)
    assert block.values["done"]
    assert (block.values["pass"], block.values["code"]) == told

    block(11.0, received=True, httpStatus=200, answer=GOOD)
    assert (block.values["pass"], block.values["code"]) == told
    block(12.0, start=False)
    assert not block.values["pass"]


def test_the_scl_block_gives_up_by_itself(shared: Any) -> None:
    """Without an answer the part is a reject; with the line's own answer it passes."""
    block = sample("scl")
    block(10.0, start=True, number=17)
    block(10.5)
    assert (block.values["done"], block.values["pass"], block.values["code"]) == (True, False, 23)

    line = shared.fire(18).to_line().decode("ascii")
    block(11.0, start=False)
    block(12.0, start=True, number=18, received=True, httpStatus=200, answer=line)
    assert block.values["pass"]
