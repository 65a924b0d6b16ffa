"""The name of a request: on every answer, and on what is logged meanwhile."""

from __future__ import annotations

import http.client
import logging
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from device import Colours, Device, picture

from edge_app.config import AppSettings
from edge_app.inference.tensor import Array
from edge_app.web.request import ARRIVED_AT
from edge_app.web.request_id import HEADER, stamp
from edge_app.web.server import Server

NEW = re.compile(r"[0-9a-f]{32}")
FOREIGN = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture
def port(device: Device) -> Iterator[int]:
    """Where the device's app is served."""
    server = Server(device.app, replace(AppSettings(), port=0), [])
    server.start()
    yield server.port
    server.stop(within_s=0.5)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log behind the filter that both ways to serve the app set up."""
    caplog.handler.addFilter(stamp)
    yield caplog
    caplog.handler.removeFilter(stamp)


class Loud(Colours):
    """Says when it is run."""

    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """As the colours."""
        logging.getLogger("test").warning("the model runs")
        return super().invoke(tensors)


def entry(log: pytest.LogCaptureFixture, text: str) -> logging.LogRecord:
    """The one entry with a text in it."""
    (found,) = (record for record in log.records if text in record.getMessage())
    return found


@pytest.mark.parametrize("given", ["a", "order-4711_b.2", "Z" * 64])
def test_a_given_id_comes_back(device: Device, given: str) -> None:
    """An id of up to 64 harmless characters is the answer's, too."""
    reply = device.client.post("/predict", data=picture(), headers={HEADER: given})

    assert (reply.status_code, reply.headers.getlist(HEADER)) == (200, [given])


@pytest.mark.parametrize("given", ["", "Z" * 65, "two words", "a,b", "é", "a/b", "<b>", '"'])
def test_a_malformed_id_is_replaced(device: Device, given: str) -> None:
    """What can't stand in a log as it is makes place for a new id; the request goes on."""
    reply = device.client.get("/health", headers={HEADER: given})

    assert reply.status_code == 200
    assert NEW.fullmatch(reply.headers[HEADER])


def test_two_requests_have_two_ids(device: Device) -> None:
    """Without an id of its own each request gets another one."""
    first, second = (device.client.get("/health").headers[HEADER] for _ in range(2))

    assert NEW.fullmatch(first)
    assert NEW.fullmatch(second)
    assert first != second


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("DELETE", "/health", 405),
        ("POST", "/predict", 400),
        ("GET", "/v1/models/nobody", 404),
        ("GET", "/v2/models/nobody", 404),
        ("POST", "/v1/vision/detection", 400),
    ],
)
def test_refusals_carry_it(device: Device, method: str, path: str, status: int) -> None:
    """Errors of every dialect have the id in their head, and their bodies' shape unchanged."""
    reply = device.client.open(path, method=method, headers={HEADER: "mine"})

    assert (reply.status_code, reply.headers[HEADER]) == (status, "mine")
    assert "mine" not in reply.text


def test_who_may_not_ask_hears_it(data_dir: Path) -> None:
    """Refusals of the guard and the limiter have the id."""
    device = Device(data_dir, AppSettings(open_access="none", rate_limit_hz=1)).start()
    ask: dict[str, Any] = {"headers": {HEADER: "mine"}, "environ_overrides": FOREIGN}
    replies = [device.client.get("/api/v1/status", **ask) for _ in range(4)]
    device.stop()

    assert [reply.status_code for reply in replies] == [401, 401, 429, 429]
    assert {reply.headers[HEADER] for reply in replies} == {"mine"}


def test_an_upload_that_is_too_late_hears_it(device: Device) -> None:
    """The door's refusal has the id, too."""
    late = {ARRIVED_AT: time.monotonic() - 60}
    reply = device.client.post(
        "/predict", data=picture(), headers={HEADER: "mine"}, environ_base=late
    )

    assert reply.get_json()["error"]["code"] == "late"
    assert (reply.status_code, reply.headers[HEADER]) == (503, "mine")


def test_it_crosses_the_network(port: int) -> None:
    """The server hands the id on; two in one request are none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/health", headers={HEADER: "mine"})
    one = connection.getresponse()
    one.read()
    connection.putrequest("GET", "/health")
    connection.putheader(HEADER, "mine")
    connection.putheader(HEADER, "yours")
    connection.endheaders()
    two = connection.getresponse()
    connection.close()

    assert one.headers[HEADER] == "mine"
    assert NEW.fullmatch(two.headers[HEADER])


@pytest.mark.parametrize(
    ("request_bytes", "status", "wanted"),
    [
        (b"hello\r\n\r\n", 400, "[0-9a-f]{32}"),
        (b"POST / HTTP/1.1\r\nX-Request-Id: mine\r\nContent-Length: -1\r\n\r\n", 400, "mine"),
        (
            b"POST / HTTP/1.1\r\nX-Request-Id: mine\r\nContent-Length: 99999999999\r\n\r\n",
            413,
            "mine",
        ),
        (
            b"POST / HTTP/1.1\r\nX-Request-Id: my own\r\nContent-Length: -1\r\n\r\n",
            400,
            "[0-9a-f]{32}",
        ),
    ],
)
def test_what_the_app_never_sees_has_one(
    port: int, request_bytes: bytes, status: int, wanted: str
) -> None:
    """The server's own refusals have the id that came, where it could be read, or a new one."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    head = reply.partition(b"\r\n\r\n")[0].decode()

    assert int(head.split()[1]) == status
    (answered,) = re.findall(r"(?i)x-request-id: ([^\r]*)", head)
    assert re.fullmatch(wanted, answered)


def test_a_failure_is_logged_with_it(device: Device, log: pytest.LogCaptureFixture) -> None:
    """Who was told of a 500 can be found in the log, by text and by field."""

    @device.app.get("/broken")
    def broken() -> str:
        raise RuntimeError("by design")

    reply = device.client.get("/broken", headers={HEADER: "mine"})

    assert (reply.status_code, reply.headers[HEADER]) == (500, "mine")
    assert reply.get_json()["error"].keys() == {"code", "message"}
    failed = entry(log, "request mine failed")
    assert vars(failed)["LINESIDE_REQUEST_ID"] == "mine"
    assert "by design" in str(failed.exc_info)


def test_a_failed_login_is_logged_with_it(device: Device, log: pytest.LogCaptureFixture) -> None:
    """Also an entry that says nothing of the id has the field, and it is the answer's."""
    reply = device.client.post("/api/v1/session", json={"name": "eve", "password": "guess"})

    assert reply.status_code == 401
    assert vars(entry(log, "'eve'"))["LINESIDE_REQUEST_ID"] == reply.headers[HEADER]


def test_threads_that_work_for_a_request_log_its_id(
    data_dir: Path, log: pytest.LogCaptureFixture
) -> None:
    """What decodes and runs the model for a request is another thread, and has the field."""
    device = Device(data_dir)
    device.model = Loud()
    device.start().install()
    log.clear()
    ids = ["first", "second", "first"]
    for name in ids:
        assert (
            device.client.post("/predict", data=picture(), headers={HEADER: name}).status_code
            == 200
        )
    device.stop()

    said = [record for record in log.records if record.getMessage() == "the model runs"]
    assert {record.threadName for record in said} <= {f"upload-{number}" for number in range(3)}
    assert [vars(record)["LINESIDE_REQUEST_ID"] for record in said] == ids


def test_a_record_has_it(device: Device) -> None:
    """Who kept the id of a request finds the record by it, and the other way round."""
    made = device.client.post("/predict", data=picture(), headers={HEADER: "mine"}).get_json()
    device.record(made["id"])

    record = device.client.get(f"/api/v1/inspections/{made['id']}").get_json()
    assert record["request_id"] == "mine"


def test_what_no_request_logs_has_none(log: pytest.LogCaptureFixture) -> None:
    """Outside a request there is no such field."""
    logging.getLogger("edge_app.lines").warning("line cam1 is down")

    assert "LINESIDE_REQUEST_ID" not in vars(entry(log, "cam1"))
