"""Whatever comes on the PLC's port, in whatever pieces: whole replies, and no shot by accident."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import re
import socket
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camera.plc.record import PlcDecision, PlcRecord
from edge_app.inference.judge import Code

MAX_REPLY = 254
EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def exchange(port: int, *pieces: bytes) -> bytes:
    """Send piece by piece and say that no more comes; all that the line replies."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Refused in the middle, and gone by now.
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
        reply = b""
        while piece := connection.recv(4096):
            reply += piece
    return reply


def replies(raw: bytes) -> list[tuple[int, bytes]]:
    """Status and body of each reply; every one whole, within a segment, and nothing between."""
    found = []
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)(?:\r\n|$)", head)
        assert head.startswith(b"HTTP/1.1 "), raw
        assert length is not None
        body, raw = rest[: int(length[1])], rest[int(length[1]) :]
        assert len(body) == int(length[1])
        assert len(head) + 4 + len(body) <= MAX_REPLY
        found.append((int(head.split()[1]), body))
    return found


def record_of(body: bytes) -> PlcRecord:
    """The record in a body, whichever form it has."""
    if body.startswith(b"{"):
        told = json.loads(body)
        return PlcRecord(n=told["n"], id=told["id"], decision=told["decision"], code=told["code"])
    return PlcRecord.from_line(body)


@contextlib.contextmanager
def nothing_failed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No request made the listener fail."""
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        yield
    assert caplog.records == []


def wait_until_ready(line: Any) -> None:
    """The shot before may still be in work: its picture is kept after its answer."""
    end = time.monotonic() + 10
    while not line.station.ready:
        assert time.monotonic() < end
        time.sleep(0.001)


PARTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=32)
HEADERS = st.lists(
    st.sampled_from(
        [
            "Host: 192.168.0.50:8090",
            "Host:",
            "User-Agent: S7-1500",
            "user-agent:Mozilla/4.0 (compatible; MSIE 6.0)",
            "Content-Type: text/html",
            "Content-Type: application/x-www-form-urlencoded",
            "Accept: */*",
            "Accept-Encoding: gzip, deflate",
            "Connection: keep-alive",
            "Connection: close",
            "X-Long: " + "x" * 300,
        ]
    ),
    max_size=5,
)


@dataclass(frozen=True)
class Sent:
    """A trigger as it goes out."""

    n: int
    part: str
    raw: bytes


@st.composite
def triggers(draw: st.DrawFn) -> Sent:
    """One trigger in any of the dialects that PLC blocks speak."""
    n, part = draw(st.integers(1, 65_535)), draw(PARTS)
    newline = draw(st.sampled_from(["\r\n", "\n"]))
    version = draw(st.sampled_from(["HTTP/1.0", "HTTP/1.1"]))
    form = urllib.parse.urlencode({"n": n, "part": part})
    kind = draw(st.sampled_from(["query", "form", "json", "split"]))
    method, target, body = {
        "query": ("GET", f"/plc/trigger?{form}", ""),
        "form": ("POST", "/plc/trigger", form),
        "json": ("POST", "/plc/trigger", json.dumps({"n": n, "part": part})),
        "split": ("POST", f"/plc/trigger?n={n}", urllib.parse.urlencode({"part": part})),
    }[kind]
    headers = draw(HEADERS) + ([f"Content-Length: {len(body)}"] if method == "POST" else [])
    before = draw(st.sampled_from(["", "\0", "\r\n", "\n\0\0"]))
    after = draw(st.sampled_from(["", "\0", "\r\n", "\0\r\n"]))
    lines = [f"{method} {target} {version}", *draw(st.permutations(headers)), "", body]
    return Sent(n, part, (before + newline.join(lines) + after).encode("ascii"))


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    edges = sorted({0, len(raw), *(place % len(raw) for place in places)})
    return [raw[a:b] for a, b in itertools.pairwise(edges)]


@EXAMPLES
@given(triggers(), st.lists(st.integers(0, 10**6), max_size=12))
def test_a_trigger_is_understood_however_it_comes(
    shared_line: Any, caplog: pytest.LogCaptureFixture, sent: Sent, places: list[int]
) -> None:
    """Any dialect, any headers, NULs around it, cut anywhere: one shot, its number, its part."""
    wait_until_ready(shared_line)
    total = shared_line.station.shift.total
    with nothing_failed(caplog):
        [(status, body)] = replies(exchange(shared_line.port, *cut(sent.raw, places)))

    record = record_of(body)
    assert (status, record.n, record.decision, record.code) == (200, sent.n, PlcDecision.OK, 0)
    assert shared_line.station.last_answered().part == sent.part
    assert shared_line.station.shift.total == total + 1


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A request of which bytes were lost, doubled or changed; or no request at all."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=400))
    raw = draw(triggers()).raw
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(0, len(raw) - 1)))
        length = draw(st.integers(0, 20))
        filling = draw(st.one_of(st.just(b""), st.binary(max_size=8), st.just(raw[place:])))
        raw = raw[:place] + filling + raw[place + length :]
    return raw


@EXAMPLES
@given(damaged(), st.lists(st.integers(0, 10**6), max_size=4))
def test_what_is_damaged_is_refused_or_counted(
    shared_line: Any, caplog: pytest.LogCaptureFixture, raw: bytes, places: list[int]
) -> None:
    """Whole replies only, never a failure, and no more parts than answers that name them."""
    total = shared_line.station.shift.total
    with nothing_failed(caplog):
        found = replies(exchange(shared_line.port, *(cut(raw, places) if raw else [])))

    assert {status for status, _ in found} <= {200, 400, 403, 404, 405, 414, 431, 501, 505}
    fired = {record_of(body).id for status, body in found if status == 200} - {0}
    assert shared_line.station.shift.total <= total + len(fired)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)


@EXAMPLES
@given(st.dictionaries(st.sampled_from(["n", "part", "job", "wait", "f", "x"]), VALUES))
def test_a_json_body_fires_what_it_says_or_nothing(
    shared_line: Any, caplog: pytest.LogCaptureFixture, fields: dict[str, Any]
) -> None:
    """Any JSON object gets a record: of its own number and part, or code 70."""
    wait_until_ready(shared_line)
    total = shared_line.station.shift.total
    body = json.dumps(fields).encode()
    head = f"POST /plc/trigger HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with nothing_failed(caplog):
        found = replies(exchange(shared_line.port, head + body))

    if len(body) > 4096:
        assert found[0][0] == 400
        return
    [(status, content)] = found
    record = record_of(content)
    assert status == 200
    if record.id:
        assert fields.get("n") in (None, 0, "0") or int(fields["n"]) == record.n
        assert "x" not in fields
    else:
        assert record.code in (Code.BAD_PARAMETER, Code.UNKNOWN_JOB)
        assert shared_line.station.shift.total == total


@pytest.mark.failsafe(
    "a request could be read in two ways",
    "code 70, or 400; nothing is fired",
    "at once",
    "nothing",
    "by itself",
)
@pytest.mark.parametrize(
    ("head", "body", "statuses"),
    [
        ("Transfer-Encoding: chunked", "3\r\nn=5\r\n0\r\n\r\n", {400}),
        ("Transfer-Encoding: Chunked", "3\r\nn=5\r\n0\r\n\r\n", {400}),
        ("Transfer-Encoding: gzip", "n=5", {400}),
        ("Content-Length: 3\r\nContent-Length: 8", "n=5&f=xx", {400}),
        ("Content-Length: 3, 8", "n=5&f=xx", {400}),
        ("Content-Length: " + "9" * 5000, "n=5", {400}),
        ("Content-Length: 3.0", "n=5", {400}),
        ("Content-Length: 9", "n=5", set()),
        ("Content-Length: 7", "n=5&n=6", {200}),
        ("Content-Length: 13", '{"n":5,"n":6}', {200}),
        ("Content-Length: 2000", "[" * 2000, {200}),
        ("Content-Length: 2006", '{"n":' + "[" * 2000 + "]", {200}),
    ],
)
def test_what_could_be_read_in_two_ways_fires_nothing(
    shared: Any, caplog: pytest.LogCaptureFixture, head: str, body: str, statuses: set[int]
) -> None:
    """Two lengths, two values of one field, a coded or cut body: no shot, no failure."""
    completed, missed = shared.station.completed, shared.station.shift.missed
    raw = f"POST /plc/trigger HTTP/1.1\r\n{head}\r\n\r\n{body}".encode()
    with nothing_failed(caplog):
        found = replies(exchange(shared.port, raw))

    assert {status for status, _ in found} == statuses
    assert all(record_of(text).code == Code.BAD_PARAMETER for code, text in found if code == 200)
    assert (shared.station.completed, shared.station.shift.missed) == (completed, missed)


def test_a_field_in_address_and_body_fires_nothing(shared: Any) -> None:
    """Nobody could say which of the two is meant."""
    completed = shared.station.completed
    record = shared.ask("/plc/trigger?n=5", "POST", "n=6")

    assert (record.code, record.decision) == (Code.BAD_PARAMETER, PlcDecision.NONE)
    assert shared.station.completed == completed
