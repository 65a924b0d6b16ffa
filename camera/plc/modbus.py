"""Modbus TCP: pyModbusTCP frames, the handshake answers. The tables are in docs/plc.md."""

from __future__ import annotations

import logging
import socket
import socketserver
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pyModbusTCP.constants import (
    EXP_DATA_ADDRESS,
    EXP_DATA_VALUE,
    EXP_NONE,
    READ_COILS,
    READ_DISCRETE_INPUTS,
    READ_HOLDING_REGISTERS,
    READ_INPUT_REGISTERS,
    WRITE_MULTIPLE_COILS,
    WRITE_MULTIPLE_REGISTERS,
    WRITE_SINGLE_COIL,
    WRITE_SINGLE_REGISTER,
)
from pyModbusTCP.server import DataBank, DataHandler, ModbusServer

from camera.line import Line
from camera.plc.access import Network, allowed, networks
from camera.plc.handshake import HOLDING_WORDS, Handshake
from camera.plc.registers import LineDesk, input_registers

MIRROR = 100
"""IR 0-71 again at HR 100-171, for PLCs that can't read input registers."""

COIL_ON, COIL_OFF = b"\xff\x00", b"\x00\x00"

MAX_CONNECTIONS = 16
UNREAD_BYTES = 32_768
"""Answers that a client has not read yet; more, for a second, and it loses its connection."""

KEEPALIVE_S = 10
"""A PLC that lost its power leaves a connection behind that nobody closes."""

READING = frozenset(
    {READ_COILS, READ_DISCRETE_INPUTS, READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS}
)
WRITING = frozenset(
    {WRITE_SINGLE_COIL, WRITE_SINGLE_REGISTER, WRITE_MULTIPLE_COILS, WRITE_MULTIPLE_REGISTERS}
)

log = logging.getLogger(__name__)


class Registers(DataHandler):  # type: ignore[misc]  # the library has no types
    """What the library's server asks for each request; each call is one consistent moment.

    Args:
        line: The line.
        handshake: The dialogue with the PLC.
    """

    def __init__(self, line: Line, handshake: Handshake) -> None:
        super().__init__(DataBank(virtual_mode=True))
        self._line = line
        self._handshake = handshake

    def read_i_regs(self, address: int, count: int, srv_info: Any) -> Any:
        """FC 4."""
        del srv_info
        return self._slice(lambda: input_registers(self._line, self._handshake), address, count)

    def read_h_regs(self, address: int, count: int, srv_info: Any) -> Any:
        """FC 3: what the PLC wrote, or the mirror of the input registers."""
        del srv_info
        if address < MIRROR:
            return self._slice(lambda: self._handshake.words, address, count)
        return self._slice(
            lambda: input_registers(self._line, self._handshake), address - MIRROR, count
        )

    def read_coils(self, address: int, count: int, srv_info: Any) -> Any:
        """FC 1: the control word's bits."""
        del srv_info
        return self._slice(lambda: _bits(self._handshake.words[0]), address, count)

    def read_d_inputs(self, address: int, count: int, srv_info: Any) -> Any:
        """FC 2: the status word's bits."""
        del srv_info
        return self._slice(
            lambda: _bits(input_registers(self._line, self._handshake)[0]), address, count
        )

    def write_h_regs(self, address: int, words_l: list[int], srv_info: Any) -> Any:
        """FC 6 and 16: all of it or nothing."""
        del srv_info
        if address + len(words_l) > HOLDING_WORDS:
            return DataHandler.Return(EXP_DATA_ADDRESS)
        self._handshake.write(address, words_l)
        return DataHandler.Return(EXP_NONE)

    def write_coils(self, address: int, bits_l: list[bool], srv_info: Any) -> Any:
        """FC 5 and 15."""
        del srv_info
        if address + len(bits_l) > 16:
            return DataHandler.Return(EXP_DATA_ADDRESS)
        self._handshake.write_bits(address, bits_l)
        return DataHandler.Return(EXP_NONE)

    @staticmethod
    def _slice(read: Callable[[], list[Any]], address: int, count: int) -> Any:
        values = read()
        if address + count > len(values):
            return DataHandler.Return(EXP_DATA_ADDRESS)
        return DataHandler.Return(EXP_NONE, values[address : address + count])


def _bits(word: int) -> list[bool]:
    return [bool(word >> bit & 1) for bit in range(16)]


class ModbusPort(ModbusServer):  # type: ignore[misc]  # the library has no types
    """The Modbus listener of one line: IPv4, a bounded number of connections.

    Args:
        line: The line.
        access: `read` or `control`.
        address: Host and port to listen on; port 0 for any free one.
        allow: Addresses or networks that may ask, comma-separated; empty for all.

    Raises:
        OSError: The port is taken.
        ValueError: `allow` is not a list of addresses.
    """

    def __init__(self, line: Line, access: str, address: tuple[str, int], allow: str = "") -> None:
        self.handshake = Handshake(LineDesk(line))
        super().__init__(*address, no_block=True, data_hdl=Registers(line, self.handshake))
        functions = READING | WRITING if access == "control" else READING
        # What is not in the contract is answered with exception 1.
        self._func_map: dict[int, Any] = {
            code: function
            for code, function in vars(self)["_func_map"].items()
            if code in functions
        }
        self._service = _Listener(address, _Session, networks(allow))
        self._service.evt_running = self._evt_running
        self._service.engine = self._engine

    @property
    def server_address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._service.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Serve in a thread."""
        self._evt_running.set()
        threading.Thread(target=self._service.serve_forever, name="modbus", daemon=True).start()

    def stop(self) -> None:
        """Close the port and all connections."""
        if self._evt_running.is_set():
            self._evt_running.clear()
            self._service.shutdown()
        self._service.server_close()
        self._service.drop_all()

    def _write_single_coil(self, session_data: Any) -> None:
        """FC 5 knows on and off only; the library takes all else for off."""
        request, response = session_data.request.pdu, session_data.response.pdu
        if request.raw[3:5] in (COIL_ON, COIL_OFF):
            super()._write_single_coil(session_data)
        else:
            response.build_except(request.func_code, EXP_DATA_VALUE)

    def _internal_engine(self, session_data: Any) -> None:
        try:
            super()._internal_engine(session_data)
        except ModbusServer.Error:
            raise
        # The loop's edge: one PLC's request must not end its connection without a word.
        except Exception as error:
            log.exception("a Modbus request failed")
            raise ModbusServer.Error("internal error") from error


class _Session(ModbusServer.ModbusService):  # type: ignore[misc]  # the library has no types
    """One connection. A client that does not read its answers loses it."""

    def _send_all(self, data: bytes) -> None:
        # The library goes on after half an answer, and the next one would be read as its rest.
        self.request.sendall(data)


class _Listener(socketserver.ThreadingTCPServer):
    """The library's own server, with a limit and a list of who may come."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    address_family = socket.AF_INET

    def __init__(self, address: tuple[str, int], handler: Any, allow: list[Network]) -> None:
        super().__init__(address, handler)
        self.evt_running: Any = None
        self.engine: Any = None
        self._allow = allow
        self._lock = threading.Lock()
        self._open: OrderedDict[int, socket.socket] = OrderedDict()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether this peer may talk at all."""
        del request
        return allowed(str(client_address[0]), self._allow)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection; where there are too many, the oldest one goes.

        A PLC that was switched off and on again must get in, whatever it left behind.
        """
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD_BYTES)
        request.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
        with self._lock:
            self._open[id(request)] = request
            if len(self._open) > MAX_CONNECTIONS:
                _drop(self._open.popitem(last=False)[1])
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """A connection has ended."""
        with self._lock:
            self._open.pop(id(request), None)
        super().shutdown_request(request)

    def drop_all(self) -> None:
        """End all connections."""
        with self._lock:
            for connection in self._open.values():
                _drop(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """What escaped a connection's thread."""
        del request
        log.error("the Modbus connection from %s failed: %r", client_address, sys.exc_info()[1])


def _drop(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        log.debug("a Modbus connection was gone already")
