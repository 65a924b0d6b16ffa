"""What arrives on the PLC's port, however it arrives, is answered in one piece."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camera.plc.record import PlcDecision, PlcRecord
from camera.request import Reply
from camera.wire import WireServer
from edge_app.inference.judge import Code

MAX_REPLY = 254


@pytest.fixture
def line(rig: Callable[..., Any]) -> Any:
    """A running line."""
    return rig().start()


def receive_once(port: int, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Send, then take what ONE receive gives, as PLC blocks do; then nothing may follow."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)
        reply = connection.recv(4096)
        connection.settimeout(0.05)
        try:
            more = connection.recv(4096)
        except TimeoutError:
            more = b""
        assert more == b"", "the reply came in two pieces"
        return reply


def record_of(reply: bytes) -> PlcRecord:
    """The record in a whole reply."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 58" in head
    assert b"Transfer-Encoding" not in head
    return PlcRecord.from_line(body)


REPLIES = {
    "/plc/trigger?n=1": 200,
    "/plc/trigger?n=1&f=json": 200,
    "/plc/trigger?n=70000": 200,
    "/plc/trigger?n=1&n=2": 200,
    "/plc/trigger?n=1&speed=3": 200,
    "/plc/trigger?n=1&f=xml": 200,
    "/plc/trigger?part=" + "x" * 33: 200,
    "/plc/result?n=9": 200,
    "/plc/result": 200,
    "/plc/status": 200,
    "/plc/status?f=json": 200,
    "/plc/job?id=77": 200,
    "/plc/reset?what=everything": 200,
    "/plc/nothing": 404,
    "/": 404,
    "/plc/ng.jpg": 404,
    "/plc/trigger?n=1" + "&x=1" * 30: 200,
    "/plc/" + "x" * 1800: 404,
    "/plc/" + "x" * 3000: 414,
    "/plc/tr\xefgger": 404,
}


@pytest.mark.parametrize("target", REPLIES)
def test_every_reply_is_one_segment(shared: Any, target: str) -> None:
    """Right or wrong, a reply is one receive of at most 254 bytes with its length in it."""
    reply = receive_once(shared.port, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"))

    assert int(reply.split()[1]) == REPLIES[target]
    assert len(reply) <= MAX_REPLY
    head, _, body = reply.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
    assert b"<" not in body


@pytest.mark.failsafe(
    "rubbish on the port",
    "a refusal in one segment; nothing is fired",
    "at once",
    "nothing",
    "by itself",
)
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"rubbish\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /plc/status HTTP/9.9\r\n\r\n",
        b"BREW /plc/status HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /plc/trigger HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"HEAD /plc/trigger?n=1 HTTP/1.1\r\n\r\n",
        b"POST /plc/trigger HTTP/1.1\r\nContent-Length: 99999\r\n\r\n" + b"x" * 9999,
        b"POST /plc/trigger HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /plc/trigger HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /plc/status HTTP/1.1\r\n" + b"A: b\r\n" * 60 + b"\r\n",
        b"GET /plc/status HTTP/1.1\r\n" + b"A: b\r\n" * 150 + b"\r\n",
        b"GET /plc/status HTTP/1.1\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
        b"\xff\xfe\x00\x01\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_in_one_segment(shared: Any, request_bytes: bytes) -> None:
    """Rubbish gets a refusal of one segment and never fires."""
    completed = shared.station.completed
    reply = receive_once(shared.port, request_bytes)

    assert int(reply.split()[1]) in {400, 404, 405, 414, 431, 501, 505}
    assert len(reply) <= MAX_REPLY
    assert shared.station.completed == completed


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /plc/trigger?n=5 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /plc/trigger?n=5 HTTP/1.1\n\n",
        b"GET /plc/trigger?n=5 HTTP/1.0\r\n\r\n",
        b"GET /plc/trigger?n=5 HTTP/1.1\r\n\r\n\0",
        b"\r\n\0GET /plc/trigger?n=5 HTTP/1.1\r\n\r\n\0\0",
        b"POST /plc/trigger HTTP/1.0\nContent-Length: 3\n\nn=5",
        b"POST /plc/trigger HTTP/1.1\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nn=5\0",
        b'POST /plc/trigger HTTP/1.1\r\nContent-Length: 7\r\n\r\n{"n":5}',
        b"POST /plc/trigger?n=5 HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_plc_dialects(shared: Any, request_bytes: bytes) -> None:
    """No Host, LF alone, HTTP/1.0, NULs, forms and JSON under any content type: all the same."""
    record = record_of(receive_once(shared.port, request_bytes))

    assert (record.n, record.decision) == (5, PlcDecision.OK)


@pytest.mark.parametrize("newline", [b"\r\n", b"\n"])
def test_byte_by_byte(shared: Any, newline: bytes) -> None:
    """A request that trickles in is a request; its deadline begins with the last byte."""
    text = b"GET /plc/trigger?n=6&part=AB12 HTTP/1.1" + newline * 2
    pieces = [text[i : i + 1] for i in range(len(text))]

    record = record_of(receive_once(shared.port, *pieces, pause_s=0.008))
    assert (record.n, record.decision, record.code) == (6, PlcDecision.OK, 0)


def test_a_connection_is_kept_for_the_next_part(shared: Any) -> None:
    """HTTP/1.1 keeps the connection, NULs in between or not."""
    with socket.create_connection(("127.0.0.1", shared.port), timeout=5) as connection:
        for n in (1, 2, 3):
            connection.sendall(f"GET /plc/trigger?n={n} HTTP/1.1\r\n\r\n\0".encode())
            assert record_of(connection.recv(4096)).n == n


def test_curl_speaks_http_1_0(shared: Any) -> None:
    """Curl --http1.0 gets the 58 bytes."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url = f"http://127.0.0.1:{shared.port}/plc/trigger?n=17&part=AB12"
    done = subprocess.run(["curl", "-s", "--http1.0", url], capture_output=True, check=True)

    assert PlcRecord.from_line(done.stdout).n == 17


@pytest.mark.failsafe(
    "the PLC repeats itself",
    "one shot, the same answer each time",
    "the deadline",
    "one part",
    "by itself",
)
def test_twenty_retries_are_one_shot(line: Any) -> None:
    """Twenty clients with one number at once: one shot, twenty equal answers."""
    answers: list[PlcRecord] = []
    threads = [
        threading.Thread(target=lambda: answers.append(line.fire(9, part="A"))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 20
    assert len({(a.id, a.decision, a.score, a.ms, a.code) for a in answers}) == 1
    assert (line.station.shift.total, line.station.shift.missed) == (1, 0)


@pytest.mark.failsafe(
    "a web page tries to fire",
    "403; nothing is fired",
    "at once",
    "nothing",
    "by itself",
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Moz": "prefetch"},
        # A picture that any page may name; to an address without TLS nothing else is told.
        {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)", "Accept-Language": "de"},
    ],
)
def test_browsers_of_other_sites_are_refused(shared: Any, headers: dict[str, str]) -> None:
    """What only a browser sends fires nothing."""
    completed = shared.station.completed
    assert shared.ask("/plc/trigger?n=1", **headers)[0] == 403
    assert shared.station.completed == completed


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "Mozilla/5.0 (Windows NT) WindowsPowerShell/5.1"},
        {"User-Agent": "curl/8.0", "Accept-Language": "de"},
        {"User-Agent": "Mozilla/5.0", "Accept-Language": "de", "Sec-Fetch-Site": "none"},
    ],
)
def test_who_is_no_page_may_fire(shared: Any, headers: dict[str, str]) -> None:
    """Tools that call themselves Mozilla, and an address that a person typed, are answered."""
    assert shared.ask("/plc/trigger?n=1", **headers).decision is PlcDecision.OK


def test_a_browser_may_look(shared: Any) -> None:
    """Only calls that do something are kept from pages."""
    headers = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)", "Accept-Language": "de"}
    assert isinstance(shared.ask("/plc/status", **headers), PlcRecord)


@pytest.mark.failsafe(
    "a client sends half a request and waits",
    "others are served; the half request is closed after 10 s",
    "-",
    "nothing",
    "by itself",
)
def test_a_slow_client_holds_nobody_up(shared: Any) -> None:
    """Sixty half-sent requests, and the PLC still gets its answer."""
    hanging = [socket.create_connection(("127.0.0.1", shared.port)) for _ in range(60)]
    try:
        for connection in hanging:
            connection.sendall(b"GET /plc/tri")
        assert shared.fire(1).decision is PlcDecision.OK
    finally:
        for connection in hanging:
            connection.close()


def test_too_many_connections_are_refused_in_one_segment(
    line: Any, until: Callable[..., None]
) -> None:
    """The sixty-fifth connection gets 503, and there is room again when others leave."""
    hanging = [socket.create_connection(("127.0.0.1", line.port)) for _ in range(64)]
    try:
        time.sleep(0.2)
        reply = receive_once(line.port, b"GET /plc/status HTTP/1.1\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 503 ")
        assert len(reply) <= MAX_REPLY
    finally:
        for connection in hanging:
            connection.close()
    until(lambda: isinstance(line.ask("/plc/status"), PlcRecord))


@pytest.mark.failsafe(
    "the PLC drops in mid-request",
    "nothing; a retry with the same number within 2 s gets the stored answer",
    "-",
    "the part as it was decided",
    "by itself",
)
def test_who_drops_in_mid_request_harms_nobody(line: Any, until: Callable[..., None]) -> None:
    """A PLC that goes away while its part is looked at: the shot is seen through and counted."""
    for n in range(1, 6):
        with socket.create_connection(("127.0.0.1", line.port)) as connection:
            connection.sendall(f"GET /plc/trigger?n={n} HTTP/1.1\r\n\r\n".encode())
            until(lambda: line.station.completed == n)  # noqa: B023 - called at once
        until(lambda: line.station.ready)

    assert line.station.shift.total == 5
    assert line.fire(9).decision is PlcDecision.OK


@pytest.fixture
def reader(rig: Callable[..., Any]) -> Iterator[Any]:
    """A line whose PLC port may only read."""
    return rig(access="read").start()


@pytest.mark.parametrize("target", ["/plc/trigger?n=1", "/plc/job?id=1", "/plc/reset"])
def test_a_reading_port_fires_nothing(reader: Any, target: str) -> None:
    """With `read` the record says code 21 and nothing happens."""
    assert reader.ask(target).code == Code.NOT_ENABLED
    assert reader.ask("/plc/status").decision is PlcDecision.NOT_YET


def test_only_listed_addresses_may_ask(rig: Callable[..., Any]) -> None:
    """An address that is not on the list gets 403."""
    line = rig(allow="10.0.0.0/8, 192.168.1.7").start()

    assert line.ask("/plc/status")[0] == 403


def test_a_request_may_take_its_time_but_not_for_ever(
    line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that says nothing is closed."""
    monkeypatch.setattr("camera.connection.REQUEST_S", 0.1)
    with socket.create_connection(("127.0.0.1", line.port), timeout=5) as connection:
        connection.sendall(b"GET /plc/sta")
        assert connection.recv(100) == b""


def test_pictures_come_whole(shared: Any) -> None:
    """After a shot the last picture is there as JPEG."""
    shared.fire(1)
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=5)
    connection.request("GET", "/plc/last.jpg")
    picture = connection.getresponse().read()
    connection.close()

    assert picture.startswith(b"\xff\xd8")
    assert picture.endswith(b"\xff\xd9")


def test_a_client_that_reads_late_gets_all_of_a_large_reply(tmp_path: Path) -> None:
    """What does not fit into the socket at once follows as it is read, and the next reply too."""
    body = bytes(range(256)) * 20_000
    server = WireServer(tmp_path / "s", lambda _: Reply(body), "large")
    server.start()
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(tmp_path / "s"))
            for _ in range(2):
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                time.sleep(0.2)
                reply = http.client.HTTPResponse(client)
                reply.begin()
                assert reply.read() == body
    finally:
        server.stop()
