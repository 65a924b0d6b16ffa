"""Clients of line and app that are timed: a PLC, single requests, and `hey`."""

from __future__ import annotations

import csv
import http.client
import io
import shutil
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import Missing
from camera.plc.record import PlcRecord

PIECE_BYTES = 65_536
"""What a client sends at once: to its neighbours on this machine one call of 4 MB is a kernel that
lets nobody else on the processor for 5 ms, which no other machine's client could do."""


class Plc:
    """A PLC on the line's HTTP port: one connection, kept; every call timed.

    Args:
        port: The line's.
        timeout_s: The PLC's own timer; past it the part is a reject.
    """

    def __init__(self, port: int, timeout_s: float = 2.0) -> None:
        self._address = ("127.0.0.1", port)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def trigger(self, n: int, part: str = "") -> tuple[PlcRecord, float]:
        """Fire; returns the record and the milliseconds from sending to the whole reply.

        Raises:
            OSError: No answer came.
            ValueError: It was no record.
        """
        return self.call(f"/plc/trigger?n={n}&part={part}")

    def call(self, path: str) -> tuple[PlcRecord, float]:
        """Any call that answers with a record; raises like `trigger`."""
        if self._socket is None:
            self._socket = _connected(self._address, self._timeout_s)
        request = f"GET {path} HTTP/1.1\r\nHost: line\r\n\r\n".encode()
        began = time.perf_counter()
        try:
            self._socket.sendall(request)
            reply, ended = self._receive(self._socket)
        except OSError:
            self.close()
            raise
        spent_ms = (ended - began) * 1000
        head, _, body = reply.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(f"expected status 200, got {head[:60]!r}")
        return PlcRecord.from_line(body), spent_ms

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _receive(self, connection: socket.socket) -> tuple[bytes, float]:
        """The reply and the moment of its last byte: to take it apart is the PLC's own time."""
        # The contract: the whole reply in one segment. A loop is for the proof's sake only.
        reply, ended = b"", 0.0
        while b"\r\n\r\n" not in reply or len(reply.partition(b"\r\n\r\n")[2]) < _length(reply):
            piece = connection.recv(4096)
            if not piece:
                raise ConnectionError("the line closed the connection")
            ended = time.perf_counter()
            reply += piece
        return reply, ended


def _connected(address: tuple[str, int], timeout_s: float) -> socket.socket:
    """A connection whose timeout is the kernel's."""
    # Python's own polls before each call: the PLC's time, that would be told as the line's.
    connection = socket.create_connection(address, timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(True)
    timeval = struct.pack("@ll", int(timeout_s), int(timeout_s % 1 * 1e6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, timeval)
    return connection


def _length(reply: bytes) -> int:
    for line in reply.partition(b"\r\n\r\n")[0].splitlines():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    kind: str = "",
    timeout_s: float = 5,
) -> tuple[int, bytes]:
    """One request on a connection of its own; status 0 where no answer came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        headers = {"Content-Type": kind} if kind else {}
        pieces = None
        if body is not None:
            headers["Content-Length"] = str(len(body))
            pieces = (body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES))
        connection.request(method, path, pieces, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Answered:
    """One request as `hey` saw it: seconds from the start, milliseconds, status."""

    at_s: float
    ms: float
    status: int


def multipart(photo: Path, folder: Path) -> tuple[Path, str]:
    """A file with the multipart body that every web framework's tutorial expects, and its type."""
    boundary = "lineside-bench-boundary"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="part.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + photo.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    path = folder / f"{photo.stem}.multipart"
    path.write_bytes(body)
    return path, f"multipart/form-data; boundary={boundary}"


def hey(
    url: str,
    body: tuple[Path, str],
    *,
    clients: int,
    seconds: float = 0.0,
    requests: int = 0,
    timeout_s: int = 5,
) -> list[Answered]:
    """Load from a compiled generator.

    Args:
        url: Where to POST.
        body: Multipart file and content type.
        clients: Connections; a new request goes out on each as soon as it has its answer.
        seconds: How long.
        requests: Or how many.
        timeout_s: After which an answer counts as none (status 0).

    Raises:
        Missing: `hey` is not installed.
    """
    command = _hey(body, clients, timeout_s, 0.0)
    command += ["-z", f"{seconds}s"] if seconds else ["-n", str(requests)]
    done = subprocess.run([*command, url], capture_output=True, text=True, check=False)
    return _answers(done.stdout)


def hey_open(
    url: str, body: tuple[Path, str], *, rate_hz: float, seconds: float, timeout_s: int = 5
) -> tuple[list[Answered], int]:
    """An open loop: requests go out at a rate, whatever became of those before.

    All clients of one `hey` fire at the same moments, so several of them run with their
    starts spread over the period; together they come close to an even stream.

    Returns:
        The answers, and how many requests were due.

    Raises:
        Missing: `hey` is not installed.
    """
    # As many connections as requests can be under way within 300 ms, and no more than a
    # server takes.
    clients = min(180, max(8, round(rate_hz * 0.3)))
    groups = min(12, clients // 4)
    each = clients // groups
    period_s = each * groups / rate_hz
    processes = []
    for number in range(groups):
        command = _hey(body, each, timeout_s, rate_hz / groups)
        command += ["-cpus", "1", "-z", f"{seconds}s", url]
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        )
        if number < groups - 1:
            time.sleep(min(0.2, period_s / groups))
    answers = [answer for process in processes for answer in _answers(process.communicate()[0])]
    # Each client fires first when a period is over.
    due = int(seconds / period_s) * each * groups
    return answers, max(due, len(answers))


def _hey(body: tuple[Path, str], clients: int, timeout_s: int, rate_hz: float) -> list[str]:
    program = shutil.which("hey")
    if program is None:
        raise Missing("the load generator is missing: apt install hey")
    command = [program, "-c", str(clients), "-t", str(timeout_s), "-o", "csv", "-m", "POST"]
    command += ["-D", str(body[0]), "-T", body[1]]
    return [*command, "-q", f"{rate_hz / clients:.4f}"] if rate_hz else command


def _answers(text: str) -> list[Answered]:
    return [
        Answered(float(r["offset"]), float(r["response-time"]) * 1000, int(r["status-code"]))
        for r in csv.DictReader(io.StringIO(text))
    ]
