"""A program's picture by itself goes a shorter way, by the same rules and to the same answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import pytest
from device import Device, picture

from edge_app.config import AppSettings

RED = picture("red")


def form(content: bytes, *, quotes: str = "", **more: str) -> dict[str, Any]:
    """A form as programs post it; with anything more in it, it is no lone picture."""
    mark, name = b"--machine-7-c0ffee", 'Content-Disposition: form-data; name="%s"'
    parts = [(name % "image" + '; filename="part.png"\r\nContent-Type: image/png', content)]
    parts += [(name % field, value.encode()) for field, value in more.items()]
    body = b"".join(
        b"%s\r\n%s\r\n\r\n%s\r\n" % (mark, head.encode(), value) for head, value in parts
    )
    boundary = f"{quotes}{mark[2:].decode()}{quotes}"
    kind = f"multipart/form-data; boundary={boundary}"
    return {"data": body + mark + b"--\r\n", "content_type": kind}


@contextmanager
def requests_of(device: Device) -> Iterator[list[str]]:
    """The paths of requests that Flask was asked for meanwhile."""
    asked: list[str] = []

    def note(_app: flask.Flask, **_more: Any) -> None:
        asked.append(flask.request.path)

    with flask.request_started.connected_to(note, device.app):
        yield asked


@contextmanager
def device_with(data_dir: Path, **settings: Any) -> Iterator[Device]:
    """A running device with a model and these settings."""
    device = Device(data_dir, AppSettings(**{"deadline_ms": 5000} | settings))
    device.install()
    try:
        yield device.start()
    finally:
        device.stop()


@pytest.mark.parametrize(
    "plain", [form(RED), form(RED, quotes='"'), {"data": RED, "content_type": "image/png"}]
)
def test_both_ways_give_the_same_answer(device: Device, plain: dict[str, Any]) -> None:
    """Body and headers are those of the longer way, but for id and times."""
    with requests_of(device) as asked:
        short = device.client.post("/predict", **plain)
        assert asked == []
        long = device.client.post("/predict", **form(RED, note="more"))
        assert asked == ["/predict"]

    bodies = [answer.get_json() for answer in (short, long)]
    for body in bodies:
        assert body.pop("id") > 0
        assert body.pop("timing_ms").keys() >= {"queue", "decode", "invoke", "total"}
    assert bodies[0] == bodies[1]
    heads = [dict(answer.headers) for answer in (short, long)]
    for head in heads:
        assert len(head.pop("X-Request-Id")) == 32
        assert int(head.pop("Content-Length")) > 100
    assert heads[0] == heads[1]


def test_the_clients_id_and_deadline_count_on_the_short_way(device: Device) -> None:
    """The client's request id comes back and is recorded; its deadline is held against it."""
    headers = {"X-Request-Id": "press-7", "X-Deadline-Ms": "4000"}
    with requests_of(device) as asked:
        answer = device.client.post("/predict", headers=headers, **form(RED))
        assert asked == []

    assert answer.headers["X-Request-Id"] == "press-7"
    assert device.seen[-1].request_id == "press-7"
    refused = device.client.post("/predict", headers={"X-Deadline-Ms": "soon"}, **form(RED))
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (400, "bad_deadline")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(b"no picture", 415, "unknown_image_kind"), (RED[:60], 400, "bad_image")],
)
def test_what_fails_is_told_in_the_usual_words(
    device: Device, content: bytes, status: int, code: str
) -> None:
    """Status, error document and headers are those that every error has."""
    answer = device.client.post("/predict", **form(content))

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)
    assert answer.headers["X-Request-Id"]
    assert "frame-ancestors" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "vision.example.com"}, 421),
        ({"Authorization": "Bearer nobody's"}, 401),
        ({"Authorization": "Basic bm86Ym9keQ=="}, 401),
        ({"Cookie": "lineside_session=forged"}, 200),
        ({"Host": "lineside.local"}, 200),
    ],
)
def test_nobody_comes_in_who_does_not_come_in_otherwise(
    device: Device, headers: dict[str, str], status: int
) -> None:
    """Foreign pages, foreign names and unknown tokens are refused as on the longer way."""
    short = device.client.post("/predict", headers=headers, **form(RED))
    long = device.client.post("/predict", headers=headers, **form(RED, note="more"))

    assert (short.status_code, long.status_code) == (status, status)


def test_a_token_opens_the_short_way_where_nobody_else_comes_in(data_dir: Path) -> None:
    """Without open access a program needs a token of a role that may judge."""
    with device_with(data_dir, open_access="none") as device, requests_of(device) as asked:
        allowed, barred = (
            {"Authorization": f"Bearer {device.access.add_token(role, role)[1]}"}
            for role in ("operator", "viewer")
        )
        assert device.client.post("/predict", headers=allowed, **form(RED)).status_code == 200
        assert asked == []
        assert device.client.post("/predict", headers=barred, **form(RED)).status_code == 403
        assert device.client.post("/predict", **form(RED)).status_code == 401
        assert asked == ["/predict", "/predict"]


def test_who_asks_too_often_is_refused_on_the_short_way(data_dir: Path) -> None:
    """Each picture counts once; beyond the rate there is 429."""
    with device_with(data_dir, rate_limit_hz=2) as device:
        there = {"REMOTE_ADDR": "192.0.2.7"}
        statuses = [
            device.client.post("/predict", environ_overrides=there, **form(RED)).status_code
            for _ in range(6)
        ]

    assert statuses[:4] == [200] * 4
    assert statuses[-1] == 429


def test_the_short_way_is_counted_like_the_other(device: Device) -> None:
    """Both are requests of the same dialect in the metrics."""
    for more in ({}, {"note": "more"}):
        device.client.post("/predict", **form(RED, **more))

    line = 'lineside_http_requests_total{dialect="predict",status="200"} 2.0'
    assert line in device.metrics.text().decode().splitlines()


def test_other_sites_pages_are_told_apart_by_caches(data_dir: Path) -> None:
    """Where other origins may ask, every answer says that it depends on them."""
    with device_with(data_dir, cors_origins="http://hmi.local") as device:
        answers = [device.client.post("/predict", **form(RED, **m)) for m in ({}, {"note": "x"})]

    assert [answer.headers["Vary"] for answer in answers] == ["Origin", "Origin"]
