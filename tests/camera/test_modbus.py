"""Modbus TCP on a running line, with clients that nobody here wrote."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camera.plc.handshake import Control
from camera.plc.modbus import MAX_CONNECTIONS, ModbusPort
from camera.plc.record import PlcDecision, Status

pymodbus = pytest.importorskip("pymodbus.client", reason="pymodbus is not installed")
NODE_MODULES = Path(
    os.environ.get("LINESIDE_NODE_MODULES", Path(__file__).parents[2] / "node_modules")
)
ENABLE = int(Control.TRIGGER_ENABLE)


class Wired:
    """A running line with a Modbus port."""

    def __init__(self, line: Any, access: str = "control", allow: str = "") -> None:
        self.line = line
        self.server = ModbusPort(line.line, access, ("127.0.0.1", 0), allow)
        self.port = self.server.server_address[1]
        self.server.start()
        self.clients: list[Any] = []

    def client(self) -> Any:
        """A pymodbus client."""
        client = pymodbus.ModbusTcpClient("127.0.0.1", port=self.port, timeout=5)
        assert client.connect()
        self.clients.append(client)
        return client

    def stop(self) -> None:
        """Close clients and port."""
        for client in self.clients:
            client.close()
        self.server.stop()


@pytest.fixture(scope="module")
def wired(shared_line: Any) -> Iterator[Wired]:
    """One line for all tests here; each leaves the control word at 0."""
    made = Wired(shared_line)
    yield made
    made.stop()


@pytest.fixture
def client(wired: Wired) -> Any:
    """A client; the control word begins at 0, the errors cleared."""
    client = wired.client()
    client.write_registers(0, [0] * 24)
    client.write_register(0, int(Control.CLEAR_ERROR))
    client.write_register(0, 0)
    return client


def text_of(words: list[int]) -> str:
    """A NUL-padded text."""
    return struct.pack(f">{len(words)}H", *words).rstrip(b"\0").decode("ascii")


def words_of(text: str) -> list[int]:
    """The same the other way round."""
    return list(struct.unpack(">16H", text.encode("ascii").ljust(32, b"\0")))


def scan_until(client: Any, condition: Callable[[list[int]], object]) -> list[int]:
    """Read IR 0-71 until they are as wanted."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        words: list[int] = client.read_input_registers(0, count=72).registers
        if condition(words):
            return words
        time.sleep(0.005)
    pytest.fail("the registers never became so")


def inspect(client: Any, n: int, part: str) -> list[int]:
    """The whole handshake; the registers with the result."""
    client.write_register(0, ENABLE)
    scan_until(client, lambda words: words[0] & Status.READY)
    client.write_registers(0, [ENABLE | Control.TRIGGER, n, 0, 0, 0, 0, 0, 0, *words_of(part)])
    words = scan_until(client, lambda words: words[0] & Status.RESULTS_VALID)
    client.write_register(0, ENABLE)
    client.write_register(0, ENABLE | Control.RESULT_ACK)
    scan_until(client, lambda words: not words[0] & Status.RESULTS_VALID)
    client.write_register(0, ENABLE)
    return words


def test_pymodbus_drives_the_handshake(client: Any, wired: Wired) -> None:
    """The registers hold the part's result, its echo and the counters, as the tables say."""
    before = wired.line.station.life.total
    words = inspect(client, 17, "AB12")

    assert Status.PASS | Status.TRIGGER_ACK in Status(words[0])
    assert (words[2], words[3], words[4], words[7]) == (17, PlcDecision.OK, 0, 0)
    assert (words[10], words[11], words[12]) == (1, 1, 1)
    assert text_of(words[40:56]) == "AB12"
    assert text_of(words[56:72]) == "good"
    assert words[16] << 16 | words[17] == before + 1
    assert abs((words[32] << 16 | words[33]) - time.time()) < 60
    assert words[8] << 16 | words[9] == wired.line.station.last_answered().id
    assert words[36:40] == [0, 0, 0, 0]


def test_input_registers_are_mirrored(client: Any) -> None:
    """HR 100-171 are IR 0-71, coils are HR 0, discrete inputs are IR 0."""
    inspect(client, 5, "M")
    inputs = client.read_input_registers(0, count=72).registers
    mirror = client.read_holding_registers(100, count=72).registers

    still = [i for i in range(72) if i not in (0, 1, 13)]
    assert [inputs[i] for i in still] == [mirror[i] for i in still]
    assert client.read_coils(0, count=10).bits[:10] == [True] + [False] * 9
    bits = client.read_discrete_inputs(0, count=16).bits[:16]
    assert bits[12] == bool(inputs[0] >> 12 & 1)


def test_coils_drive_it_too(client: Any) -> None:
    """FC 5 and FC 15 are as good as FC 6 and FC 16."""
    client.write_coil(0, True)
    client.write_register(1, 321)
    client.write_coils(1, [True])
    words = scan_until(client, lambda words: words[0] & Status.RESULTS_VALID)

    assert words[2] == 321
    client.write_coils(0, [True, False, True])
    assert not client.read_discrete_inputs(3, count=1).bits[0]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda c: c.read_input_registers(72, count=1), 2),
        (lambda c: c.read_input_registers(0, count=73), 2),
        (lambda c: c.read_holding_registers(24, count=1), 2),
        (lambda c: c.read_holding_registers(20, count=10), 2),
        (lambda c: c.read_holding_registers(171, count=2), 2),
        (lambda c: c.read_coils(10, count=10), 2),
        (lambda c: c.write_register(24, 1), 2),
        (lambda c: c.write_registers(20, [1] * 5), 2),
        (lambda c: c.write_register(100, 1), 2),
        (lambda c: c.write_coil(16, True), 2),
    ],
)
def test_what_is_not_in_the_tables_is_an_exception(client: Any, call: Any, code: int) -> None:
    """Exception 2 for an address; nothing is changed."""
    answer = call(client)

    assert answer.isError()
    assert answer.exception_code == code
    assert client.read_holding_registers(0, count=24).registers == [0] * 24


def exchange(port: int, pdu: bytes, unit: int = 1) -> bytes:
    """A raw request; the reply's PDU."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        frame = struct.pack(">HHHB", 7, 0, len(pdu) + 1, unit) + pdu
        for byte in frame:
            connection.sendall(bytes([byte]))
        reply = connection.recv(300)
    assert reply[:2] == b"\0\7"
    assert reply[6] == unit
    return reply[7:]


def test_bad_counts_and_any_unit(wired: Wired) -> None:
    """Exception 3 for a count; every unit id is answered and echoed; bytes may trickle in."""
    assert exchange(wired.port, struct.pack(">BHH", 4, 0, 0)) == b"\x84\x03"
    assert exchange(wired.port, struct.pack(">BHH", 4, 0, 126)) == b"\x84\x03"
    assert exchange(wired.port, struct.pack(">BHHB", 16, 0, 2, 3) + b"\0" * 3) == b"\x90\x03"
    assert exchange(wired.port, struct.pack(">BHH", 4, 2, 1), unit=247)[:2] == b"\x04\x02"
    assert exchange(wired.port, struct.pack(">BHH", 4, 2, 1), unit=0)[:2] == b"\x04\x02"


@pytest.mark.parametrize("function", [7, 8, 17, 20, 22, 23, 24, 43, 99])
def test_other_functions_are_exception_1(wired: Wired, function: int) -> None:
    """Only FC 1, 2, 3, 4, 5, 6, 15 and 16 are there."""
    reply = exchange(wired.port, bytes([function]) + b"\0" * 11)

    assert reply == bytes([function | 0x80, 1])


def test_rubbish_ends_the_connection_only(client: Any, wired: Wired) -> None:
    """Bytes that are no Modbus close their connection; the others go on."""
    with socket.create_connection(("127.0.0.1", wired.port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    assert not client.read_input_registers(0, count=72).isError()


@pytest.mark.failsafe(
    "Modbus reconnects in mid-handshake",
    "the result waits",
    "-",
    "the part as it was decided",
    "by itself",
)
def test_a_reconnect_goes_on_where_it_was(client: Any, wired: Wired) -> None:
    """The handshake's state is the device's: a new connection finds the result."""
    client.write_registers(0, [ENABLE])
    client.write_registers(0, [ENABLE | Control.TRIGGER, 77])
    client.close()
    other = wired.client()
    words = scan_until(other, lambda words: words[0] & Status.RESULTS_VALID)

    assert (words[2], words[3]) == (77, PlcDecision.OK)


def test_snapshots_and_writes_are_whole_under_load(wired: Wired, client: Any) -> None:
    """Four readers while parts go by: number, part and decision of a snapshot always agree."""
    stop = threading.Event()
    torn: list[list[int]] = []
    reads = [0]

    def read_on() -> None:
        reader = wired.client()
        while not stop.is_set():
            words = reader.read_input_registers(0, count=72).registers
            reads[0] += 1
            echo = text_of(words[40:56])
            if words[2] and echo != f"PART{words[2]}":
                torn.append(words)
            if bool(words[0] & Status.PASS) != (
                bool(words[0] & Status.RESULTS_VALID) and words[3] == PlcDecision.OK
            ):
                torn.append(words)

    inspect(client, 1000, "PART1000")
    readers = [threading.Thread(target=read_on) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for n in range(1001, 1031):
            inspect(client, n, f"PART{n}")
    finally:
        stop.set()
        for reader in readers:
            reader.join()

    assert torn == []
    assert reads[0] > 50


def test_one_write_is_whole_beside_another(wired: Wired, client: Any) -> None:
    """Three PLCs write HR 0-23 at once: what is read back is one of theirs, never a mixture."""
    stop = threading.Event()

    def write_on(word: int) -> None:
        writer = wired.client()
        while not stop.is_set():
            assert not writer.write_registers(0, [0, *[word] * 23]).isError()

    client.write_registers(0, [0, *[7] * 23])
    writers = [threading.Thread(target=write_on, args=(word,)) for word in (7, 77, 777)]
    for writer in writers:
        writer.start()
    try:
        seen = [client.read_holding_registers(0, count=24).registers for _ in range(300)]
    finally:
        stop.set()
        for writer in writers:
            writer.join()
        client.write_registers(0, [0] * 24)

    assert [words for words in seen if len(set(words[1:])) > 1] == []
    assert len({words[1] for words in seen}) > 1


def test_the_oldest_connection_makes_room(wired: Wired) -> None:
    """A PLC gets in however many connections it left behind."""
    left = [socket.create_connection(("127.0.0.1", wired.port)) for _ in range(MAX_CONNECTIONS + 4)]
    try:
        assert not wired.client().read_input_registers(0, count=1).isError()
    finally:
        for connection in left:
            connection.close()


def test_a_reading_port_takes_no_writes(rig: Callable[..., Any]) -> None:
    """With `read`, writing functions are exception 1, and free-running results are shown."""
    line = rig(free_run_hz=20.0).start()
    reading = Wired(line, "read")
    try:
        client = reading.client()
        assert client.write_register(0, 1).exception_code == 1
        assert client.write_coil(0, True).exception_code == 1
        words = scan_until(client, lambda words: words[0] & Status.RESULTS_VALID)
        assert words[3] == PlcDecision.OK
    finally:
        reading.stop()


def test_only_listed_addresses_may_connect(rig: Callable[..., Any]) -> None:
    """Others are closed at once."""
    refusing = Wired(rig().start(), allow="10.1.2.3")
    try:
        with socket.create_connection(("127.0.0.1", refusing.port), timeout=5) as connection:
            assert connection.recv(10) == b""
    finally:
        refusing.stop()


def mbpoll(port: int, *arguments: str) -> str:
    """Debian's mbpoll, once, zero-based."""
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is not installed")
    command = ["mbpoll", "-m", "tcp", "-p", str(port), "-0", "-1", "-q", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


def test_mbpoll_drives_the_handshake(client: Any, wired: Wired) -> None:
    """The manual's one-liners: write HR, read IR, 32 bits high word first with -B."""
    host = "127.0.0.1"
    mbpoll(wired.port, "-t", "4", "-r", "0", host, "1")
    mbpoll(wired.port, "-t", "4", "-r", "0", host, "3", "55")
    scan_until(client, lambda words: words[0] & Status.RESULTS_VALID)
    lines = mbpoll(wired.port, "-t", "3", "-r", "2", "-c", "2", host).split()

    assert lines[-4:] == ["[2]:", "55", "[3]:", "1"]
    total = mbpoll(wired.port, "-t", "3:int", "-B", "-r", "16", "-c", "1", host).split()[-1]
    assert int(total) == wired.line.station.shift.total


@pytest.mark.parametrize("package", ["modbus-serial", "jsmodbus"])
def test_node_clients_drive_the_handshake(client: Any, wired: Wired, package: str) -> None:
    """Clients from npm see and do the same."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (NODE_MODULES / package).is_dir():
        pytest.skip(f"npm's {package} is not installed (LINESIDE_NODE_MODULES)")
    script = Path(__file__).with_name("handshake.js")
    done = subprocess.run(
        ["node", str(script), package, str(wired.port), "88"],
        env=os.environ | {"NODE_PATH": str(NODE_MODULES)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["n"], told["decision"], told["part"]) == (88, PlcDecision.OK, "NODE")
    assert told["status"] & Status.PASS
    assert client.read_holding_registers(0, count=1).registers == [ENABLE]
