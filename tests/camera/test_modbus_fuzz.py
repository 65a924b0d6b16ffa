"""Any Modbus request: an answer as the contract has it, or the end of that connection alone."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camera.plc.handshake import Control
from camera.plc.modbus import ModbusPort

EXAMPLES = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BITS, WORDS = (1, 2), (3, 4)
SIZES = {1: 16, 2: 16, 4: 72}
"""Coils, discrete inputs and input registers; holding registers have a hole."""


@pytest.fixture(scope="module")
def port(shared_line: Any) -> Iterator[int]:
    """The Modbus port of a running line."""
    server = ModbusPort(shared_line.line, "control", ("127.0.0.1", 0))
    server.start()
    yield server.server_address[1]
    server.stop()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing here may fail inside the line."""
    with caplog.at_level(logging.ERROR):
        yield
    assert [record for record in caplog.records if record.name.startswith("camera")] == []


def talk(port: int, raw: bytes) -> bytes:
    """Send bytes and say that no more come; all that comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        reply = b""
        # Closed with bytes unread: that is how rubbish ends.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(4096):
                reply += piece
    return reply


def ask(port: int, pdu: bytes, unit: int = 1, transaction: int = 7) -> bytes:
    """One request; the PDU of its one answer, or nothing."""
    reply = talk(port, struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu)
    if not reply:
        return b""
    echoed, protocol, length, unit_back = struct.unpack(">HHHB", reply[:7])
    assert (echoed, protocol, unit_back) == (transaction, 0, unit)
    assert length == len(reply) - 6
    return reply[7:]


def words(port: int) -> list[int]:
    """HR 0-23."""
    return list(struct.unpack(">24H", ask(port, struct.pack(">BHH", 3, 0, 24))[2:]))


ADDRESSES = st.one_of(st.integers(0, 200), st.integers(0, 65_535))
COUNTS = st.one_of(st.integers(0, 130), st.integers(0, 65_535))


@EXAMPLES
@given(st.sampled_from([*BITS, *WORDS]), ADDRESSES, COUNTS, st.integers(0, 255))
def test_reads_are_whole_or_exceptions(
    port: int, function: int, address: int, count: int, unit: int
) -> None:
    """Exactly what was asked for; 3 for a count that is none, else 2 for what is not there."""
    reply = ask(port, struct.pack(">BHH", function, address, count), unit)

    if not 1 <= count <= (2000 if function in BITS else 125):
        assert reply == bytes([function | 0x80, 3])
    elif not is_there(function, address, count):
        assert reply == bytes([function | 0x80, 2])
    else:
        size = (count + 7) // 8 if function in BITS else count * 2
        assert reply[:2] == bytes([function, size])
        assert len(reply) == 2 + size


def is_there(function: int, address: int, count: int) -> bool:
    """Whether the tables have all of it."""
    if function == 3:
        return address + count <= 24 or (address >= 100 and address + count <= 172)
    return address + count <= SIZES[function]


@EXAMPLES
@given(
    st.sampled_from([5, 6]), st.integers(0, 40), st.one_of(st.just(0xFF00), st.integers(0, 65_535))
)
def test_single_writes_are_taken_or_refused_whole(
    port: int, function: int, address: int, value: int
) -> None:
    """What is refused changes nothing; a coil knows 0xFF00 and 0 only."""
    before = words(port)
    pdu = struct.pack(">BHH", function, address, value)
    reply = ask(port, pdu)

    if function == 5 and value not in (0, 0xFF00):
        assert reply == b"\x85\x03"
    elif address >= (16 if function == 5 else 24):
        assert reply == bytes([function | 0x80, 2])
    else:
        assert reply == pdu
        # Whatever these writes may do, it must be over before the next one.
        ask(port, struct.pack(">BHH", 6, 0, 0))
        return
    assert words(port) == before


@st.composite
def multiple_writes(draw: st.DrawFn) -> bytes:
    """FC 15 or 16 whose count, byte count and length may agree or not."""
    function, address, count = draw(st.sampled_from([15, 16])), draw(ADDRESSES), draw(COUNTS)
    right = (count + 7) // 8 if function == 15 else count * 2
    told = right if right < 247 and draw(st.booleans()) else draw(st.integers(0, 255))
    content = bytes(min(right, 246) if draw(st.booleans()) else draw(st.integers(0, 246)))
    return struct.pack(">BHHB", function, address, count, told) + content


@EXAMPLES
@given(multiple_writes())
def test_multiple_writes_are_taken_or_refused_whole(port: int, request_pdu: bytes) -> None:
    """A count, a byte count and a length that don't agree are exception 3 and change nothing."""
    function, address, count = struct.unpack(">BHH", request_pdu[:5])
    before = words(port)
    reply = ask(port, request_pdu)

    if reply == request_pdu[:5]:
        assert address + count <= (16 if function == 15 else 24)
        ask(port, struct.pack(">BHH", 6, 0, 0))
    else:
        assert reply in (bytes([function | 0x80, 2]), bytes([function | 0x80, 3]))
        assert words(port) == before


@EXAMPLES
@given(st.binary(max_size=300))
def test_rubbish_gets_whole_answers_or_none(port: int, raw: bytes) -> None:
    """Any bytes: whole frames back, or the end of this connection; the next one is served."""
    reply = talk(port, raw)

    while reply:
        length = struct.unpack(">H", reply[4:6])[0]
        assert len(reply) >= 6 + length
        reply = reply[6 + length :]
    assert len(ask(port, struct.pack(">BHH", 4, 0, 72))) == 2 + 144
    ask(port, struct.pack(">BHH", 6, 0, 0))


@pytest.mark.failsafe(
    "a Modbus client does not read its answers",
    "its connection ends, never a torn answer; others are served",
    "1 s",
    "nothing",
    "it connects again",
)
def test_who_does_not_read_his_answers_loses_the_connection(port: int) -> None:
    """Half an answer is never followed by another one: a PLC would take them for one."""
    asking = struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 0, 72)
    answer_bytes = 7 + 2 + 144
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.settimeout(30)
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while True:
                connection.sendall(asking * 20)
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65_536):
                received += piece

    heads = {received[i : i + 9] for i in range(0, len(received) - 9, answer_bytes)}
    assert heads == {struct.pack(">HHHBBB", 1, 0, 147, 1, 4, 144)}
    assert Control.TRIGGER_ENABLE not in Control(words(port)[0])
