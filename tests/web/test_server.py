"""The server itself: real sockets, slow clients, bodies that are too large, a graceful end."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from device import Device, picture, until
from talk import ask, connect, received

from edge_app.config import AppSettings
from edge_app.web import sweep
from edge_app.web.server import Server


@pytest.fixture
def server(device: Device) -> Iterator[Server]:
    """The device's app on a port of its own, with the device's patience."""
    server = Server(device.app, replace(device.settings, port=0), [])
    server.start()
    yield server
    server.stop(within_s=0.5)


def test_a_picture_over_the_network(server: Server) -> None:
    """An upload is judged and stays within its budget."""
    status, answer = ask(server, "POST", "/predict", body=picture())

    assert (status, answer["verdict"]) == (200, "OK")


def test_a_deadline_begins_with_the_last_byte(server: Server) -> None:
    """A client on a slow network has its full budget once everything has arrived."""
    body = picture()
    with connect(server) as connection:
        head = f"POST /predict HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:-1])
        time.sleep(0.3)
        connection.sendall(body[-1:])
        reply = received(connection)

    assert reply.startswith(b"HTTP/1.0 200")
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["timing_ms"]["total"] < 200


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nno header at all\r\n\r\n", 400, "bad_request"),
        (b"hello\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 300_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: odd\r\n\r\n", 501, "not_implemented"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413, "body_too_large"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, "bad_request"),
    ],
)
def test_what_is_no_request_is_refused_in_json(
    server: Server, request_bytes: bytes, status: int, code: str
) -> None:
    """Also what the app never sees has the one error shape."""
    with connect(server) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        head, _, body = received(connection).partition(b"\r\n\r\n")

    assert int(head.split()[1]) == status
    assert json.loads(body)["error"]["code"] == code


def test_who_sends_too_much_hears_it(server: Server) -> None:
    """The refusal is not lost in a reset, although the client goes on sending."""
    status, document = ask(server, "POST", "/predict", body=b"x" * 40_000_000)

    assert (status, document["error"]["code"]) == (413, "body_too_large")


def test_an_endless_body_is_cut_off(server: Server) -> None:
    """Chunks without end are refused as soon as they are too many."""
    chunk = b"%x\r\n" % 1_000_000 + b"x" * 1_000_000 + b"\r\n"
    with connect(server) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            connection.sendall(chunk)
        head = connection.recv(4096)

    assert b" 413 " in head.split(b"\r\n")[0]


def test_two_hundred_slow_clients_hold_up_nobody(server: Server) -> None:
    """A thread is taken only by a whole request, so half ones cost none."""
    slow = [connect(server) for _ in range(200)]
    for connection in slow[:100]:
        connection.sendall(b"GET /health HT")
    for connection in slow[100:]:
        connection.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 1000\r\n\r\nx")

    spent_ms = []
    for _ in range(10):
        began = time.monotonic()
        assert ask(server)[0] == 200
        spent_ms.append((time.monotonic() - began) * 1000)

    assert sorted(spent_ms)[5] < 50
    for connection in slow:
        connection.close()


def test_who_dawdles_is_swept_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request must arrive within a time, however steadily it trickles."""
    monkeypatch.setattr(sweep, "REQUEST_S", 0.3)
    with connect(server) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        ended = threading.Event()

        def trickle() -> None:
            try:
                for _ in range(100):
                    connection.sendall(b"X: y\r\n")
                    time.sleep(0.05)
            except OSError:
                ended.set()

        thread = threading.Thread(target=trickle)
        thread.start()
        thread.join()

    assert ended.is_set()


def test_memory_for_half_bodies_is_bounded(device: Device) -> None:
    """When all unfinished bodies together hold too much, the largest goes."""
    server = Server(device.app, replace(device.settings, port=0, max_body_mb=1), [])
    server._sweep._max_bytes = 1_000_000
    server.start()
    head = b"POST /predict HTTP/1.1\r\nContent-Length: 999999\r\n\r\n"
    try:
        with connect(server) as large, connect(server) as small:
            large.sendall(head + b"x" * 900_000)
            small.sendall(head + b"x" * 200_000)

            # With bytes of it unread the system says so by a reset instead of an end.
            with suppress(ConnectionResetError):
                assert large.recv(1) == b""
            small.settimeout(0.2)
            with pytest.raises(TimeoutError):
                small.recv(1)
            assert server._sweep.swept == 1
    finally:
        server.stop(within_s=0.2)


def test_an_answer_under_way_gets_out(device: Device, server: Server) -> None:
    """Stopping waits for what has been begun."""
    device.model.takes_s = 0.15
    answers: list[Any] = []
    client = threading.Thread(
        target=lambda: answers.append(ask(server, "POST", "/predict", body=picture()))
    )
    client.start()
    until(lambda: device.uploads.door.inside)

    server.stop(within_s=1)
    client.join()

    assert answers[0][0] == 200
    assert not server.alive


def test_a_stall_keeps_no_page_waiting(device: Device, server: Server) -> None:
    """However many uploads wait for a stalled model, health answers."""
    device.model.go_on.clear()
    clients = [
        threading.Thread(target=ask, args=(server, "POST", "/predict"), kwargs={"body": picture()})
        for _ in range(30)
    ]
    for client in clients:
        client.start()
    until(lambda: device.uploads.door.inside)
    time.sleep(0.05)

    status, _ = ask(server)
    still_inside = device.uploads.door.inside

    device.model.go_on.set()
    for client in clients:
        client.join()
    assert status == 200
    assert still_inside > 0, "health waited for the model"


def test_the_loop_proves_that_it_turns(server: Server) -> None:
    """What feeds the watchdog is the loop's own last turn."""
    time.sleep(0.6)

    assert server.alive
    assert server.turned_s < 0.5


def test_a_taken_port_is_told(device: Device, server: Server) -> None:
    """Two programs on one port: the second says so."""
    with pytest.raises(OSError, match="in use"):
        Server(device.app, replace(AppSettings(), port=server.port), [])
