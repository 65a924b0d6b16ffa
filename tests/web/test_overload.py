"""More uploads than can be answered: refused at once and in words, and nobody else suffers."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from device import Device, picture, until
from talk import PATIENCE_S, ask, connect, received, reply_to

from edge_app.config import AppSettings
from edge_app.web.server import Server

THREADS = 2
FULL = 2 * THREADS
"""Uploads that are let in: one for each thread, and as many that wait for one."""

BUDGET_MS = 3000
"""Of those that are let in; the model stalls for far longer."""


@pytest.fixture
def server(device: Device) -> Iterator[Server]:
    """The app with two threads for uploads, on a port of its own."""
    settings = replace(AppSettings(), port=0, threads=THREADS)
    server = Server(device.app, settings, [], device.uploads.door)
    server.start()
    yield server
    server.stop(within_s=0.5)


class Crowd:
    """As many uploads as are let in, all behind a model that stalls.

    Args:
        device: Whose model.
        server: Its server.
    """

    def __init__(self, device: Device, server: Server) -> None:
        self.answers: list[tuple[int, Any]] = []
        self._device, self._server = device, server
        self._clients = [threading.Thread(target=self._upload) for _ in range(FULL)]
        device.model.go_on.clear()
        for client in self._clients:
            client.start()
        until(lambda: device.uploads.door.inside == THREADS and server.waiting == FULL - THREADS)

    def end(self) -> None:
        """Let the model go on, and wait until all have their answer."""
        self._device.model.go_on.set()
        self.wait()

    def wait(self) -> None:
        """Wait until all have their answer."""
        for client in self._clients:
            client.join(2 * PATIENCE_S)

    def _upload(self) -> None:
        headers = {"X-Deadline-Ms": str(BUDGET_MS)}
        self.answers.append(ask(self._server, "POST", "/predict", body=picture(), headers=headers))


@pytest.fixture
def crowd(device: Device, server: Server) -> Iterator[Crowd]:
    """The server is full while the test runs."""
    crowd = Crowd(device, server)
    yield crowd
    crowd.end()


@pytest.mark.usefixtures("crowd")
def test_one_too_many_is_refused_and_told_when_to_come_again(
    device: Device, server: Server
) -> None:
    """503, `Retry-After` in whole seconds, the milliseconds in the document, a reason in words."""
    status, headers, document = reply_to(server, "POST", "/predict", body=picture())

    error = document["error"]
    assert (status, error["code"]) == (503, "queue")
    assert int(headers["Retry-After"]) >= 1
    assert error["retry_after_ms"] >= 1
    assert f"{FULL} uploads" in error["message"]
    assert headers["X-Request-Id"]
    assert device.uploads.door.refused == {"queue": 1}


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/predict/colours", lambda document: document["error"]["message"]),
        ("/api/v1/inspections", lambda document: document["error"]["message"]),
        ("/v2/models/colours/infer", lambda document: document["error"]),
        ("/v1/models/colours:predict", lambda document: document["error"]),
        ("/v1/vision/detection", lambda document: document["error"]),
    ],
)
def test_each_dialect_is_refused_in_its_own_words(server: Server, path: str, words: Any) -> None:
    """A client of any dialect finds the reason where it looks for it."""
    status, headers, document = reply_to(server, "POST", path, body=b"{}")

    assert status == 503
    assert headers["Content-Type"] == "application/json"
    assert int(headers["Retry-After"]) >= 1
    assert "are not answered" in words(document)


def test_those_let_in_are_answered_by_their_deadline(crowd: Crowd) -> None:
    """The model stalls; each hears of it when its own time is over, and none is OK."""
    crowd.wait()

    statuses = [status for status, _ in crowd.answers]
    assert len(statuses) == FULL
    assert set(statuses) <= {503, 504}
    assert statuses.count(504) >= THREADS
    told = [document["error"] for status, document in crowd.answers if status == 504]
    assert {(error["code"], error["verdict"]) for error in told} == {("too_late", "NONE")}


def test_those_let_in_are_judged_once_the_model_goes_on(server: Server, crowd: Crowd) -> None:
    """A crowd that was waited out in time costs nobody his answer, and the next is let in."""
    crowd.end()

    assert [status for status, _ in crowd.answers] == [200] * FULL
    assert len({document["id"] for _, document in crowd.answers}) == FULL
    assert ask(server, "POST", "/predict", body=picture())[0] == 200


@pytest.mark.parametrize("path", ["/health", "/api/v1/status", "/metrics", "/"])
def test_pages_and_health_are_answered_meanwhile(server: Server, crowd: Crowd, path: str) -> None:
    """What is no upload has threads of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.request("GET", path)

    assert connection.getresponse().status == 200
    assert not crowd.answers
    connection.close()


@pytest.mark.usefixtures("crowd")
def test_a_refusal_comes_before_the_body(server: Server) -> None:
    """Headers are enough: the answer is there although no byte of the picture was sent."""
    with connect(server) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 15000000\r\n\r\n")

        assert connection.recv(65536).startswith(b"HTTP/1.1 503 ")


def refused_at_its_head(connection: socket.socket) -> None:
    """An upload of 6 MB, answered before its body."""
    connection.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 6000000\r\n\r\n")
    connection.recv(65536)


@pytest.mark.usefixtures("crowd")
def test_a_refused_body_is_not_kept(server: Server) -> None:
    """Its bytes are counted off, so that the next request is found, and held by nobody."""
    with connect(server) as connection:
        refused_at_its_head(connection)
        connection.sendall(b"x" * 5_000_000)
        ask(server)
        held = [channel.held_bytes for channel in server._channels()]
        connection.sendall(b"x" * 1_000_000 + b"GET /health HTTP/1.0\r\n\r\n")
        reply = received(connection)

    assert max(held) < 1_000_000
    assert reply.startswith(b"HTTP/1.0 200")


@pytest.mark.usefixtures("crowd")
def test_who_leaves_within_a_refused_body_is_let_go(server: Server) -> None:
    """Nothing waits for the rest of it, and the next client is answered."""
    with connect(server) as connection:
        refused_at_its_head(connection)
        connection.sendall(b"x" * 1_000_000)
        ask(server)
        until(lambda: len(server._channels()) > FULL)

    until(lambda: len(server._channels()) == FULL)
    assert ask(server)[0] == 200


@pytest.mark.usefixtures("crowd")
def test_the_connection_goes_on_after_a_refusal(server: Server) -> None:
    """A client that keeps its connection asks again on it, refused or not."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.connect()
    own = connection.sock
    statuses = []
    for method, path in (("POST", "/predict"), ("GET", "/health")) * 2:
        connection.request(method, path, picture() if method == "POST" else None)
        reply = connection.getresponse()
        reply.read()
        statuses.append(reply.status)

    assert statuses == [503, 200] * 2
    assert connection.sock is own
    connection.close()


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(
    "head",
    [
        b"POST /predict HTTP/1.0\r\nContent-Length: 9",
        b"POST /predict HTTP/1.1\r\nConnection: close\r\nContent-Length: 9",
        b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked",
        b"POST /predict HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9",
    ],
)
def test_where_the_rest_cannot_be_told_the_connection_ends_cleanly(
    server: Server, head: bytes
) -> None:
    """The whole refusal arrives, then the end: no reset, and no word of going on."""
    with connect(server) as connection:
        connection.sendall(head + b"\r\n\r\n")
        reply = received(connection)

    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nConnection: close" in head
    assert json.loads(body)["error"]["code"] == "queue"


def test_many_too_many_are_all_refused(device: Device, server: Server, crowd: Crowd) -> None:
    """A hundred at once on connections of their own: each hears it, none is let in or lost."""
    statuses: list[int] = []

    def upload() -> None:
        statuses.append(ask(server, "POST", "/predict", body=picture())[0])

    clients = [threading.Thread(target=upload) for _ in range(100)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(2 * PATIENCE_S)

    assert statuses == [503] * 100
    assert device.uploads.door.refused == {"queue": 100}
    assert not crowd.answers
