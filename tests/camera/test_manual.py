"""The PLC manual tells the truth: its one-liners run, its tables are the code's."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from camera.plc.handshake import Control
from camera.plc.modbus import ModbusPort
from camera.plc.record import LINE_BYTES, WIDTHS, PlcDecision, PlcRecord, Status
from edge_app.inference.judge import Code

MANUAL = (Path(__file__).parents[2] / "docs" / "plc.md").read_text(encoding="utf-8")


def commands(tool: str) -> list[str]:
    """The manual's one-liners."""
    blocks = re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith(tool)]


def run(command: str, http_port: int, modbus_port: int) -> str:
    """One of them, on this machine instead of the example's."""
    words = [
        word.replace("192.168.0.50:8090", f"127.0.0.1:{http_port}").replace(
            "192.168.0.50", "127.0.0.1"
        )
        for word in shlex.split(command)
    ]
    words = [str(modbus_port) if word == "1502" else word for word in words]
    done = subprocess.run(words, capture_output=True, timeout=20, check=True)
    return done.stdout.decode("utf-8")


def test_curl_one_liners_run(shared: Any) -> None:
    """Each answers its part with the record."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    answers = [run(command, shared.port, 0) for command in commands("curl")]

    assert len(answers) == 5
    lines = [PlcRecord.from_line(a.encode()) for a in answers if not a.startswith("{")]
    assert [record.n for record in lines if record.decision] == [17, 19, 19]


def test_mbpoll_one_liners_run(shared: Any) -> None:
    """Enable, trigger, result, counter, off."""
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is not installed")
    server = ModbusPort(shared.line, "control", ("127.0.0.1", 0))
    server.start()
    try:
        answers = [run(command, 0, server.server_address[1]) for command in commands("mbpoll")]
    finally:
        server.stop()

    assert len(answers) == 5
    assert re.search(r"\[2\]:\s+17\b", answers[2])


@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_explained(code: Code) -> None:
    """The table of codes lacks none."""
    assert re.search(rf"\| {int(code)} \| \w", MANUAL)


def test_the_sample_line_and_its_columns() -> None:
    """The line shown is one that the code reads, and the columns are where it says."""
    line = re.search(r"^(1,.*)<CR><LF>$", MANUAL, re.MULTILINE)
    assert line is not None
    assert PlcRecord.from_line(line[1].encode() + b"\r\n").decision is PlcDecision.OK
    starts = [sum(list(WIDTHS.values())[:i]) + i for i in range(len(WIDTHS))]
    told = re.search(r"Columns begin at ([\d, and]+)\.", MANUAL)
    assert told is not None
    assert [int(number) for number in re.findall(r"\d+", told[1])] == starts
    assert f"{LINE_BYTES} bytes" in MANUAL


@pytest.mark.parametrize(
    ("kind", "bit", "word"),
    [
        (Status, 0, "Ready"),
        (Status, 3, "Results Valid"),
        (Status, 5, "Pass"),
        (Status, 6, "Fail"),
        (Status, 8, "Missed Trigger"),
        (Control, 0, "Trigger Enable"),
        (Control, 1, "Trigger"),
        (Control, 6, "Hold"),
        (Control, 8, "PLC heartbeat"),
    ],
)
def test_the_bits_stand_where_the_table_has_them(kind: Any, bit: int, word: str) -> None:
    """Table and code agree on the bits."""
    cell = rf"\| {bit} \| {word}"
    assert re.search(cell, MANUAL)
    names = {"RESULTS_VALID": 3, "PASS": 5, "FAIL": 6, "MISSED": 8, "READY": 0}
    names |= {"TRIGGER_ENABLE": 0, "TRIGGER": 1, "HOLD": 6, "HEARTBEAT": 8}
    named = kind(1 << bit).name
    assert named == "HEARTBEAT" or names[named] == bit
