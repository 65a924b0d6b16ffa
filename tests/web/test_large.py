"""Large bodies: refused early, worked on one after the other, and gone from memory afterwards."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from device import Device, picture, until
from lone_app import PATIENT, LoneApp, demo_app

from edge_app.crew import Crew
from edge_app.inference.budget import Deadline

JSON = {"Content-Type": "application/json"}
ROW = b'{"input": [' + b",".join([b"[" + b",".join([b"[9,0,0]"] * 8) + b"]"] * 8) + b"]}"
BODY_BYTES = 15_000_000


class Held:
    """What a piece of work holds; it can be watched going."""


class Wrong(Exception):  # noqa: N818 - a test's own
    """What a piece of work ends with."""


@pytest.fixture
def crew() -> Iterator[Crew]:
    """One thread that does tasks, without the collector's help."""
    crew = Crew(1)
    crew.start()
    gc.collect()
    gc.disable()
    yield crew
    gc.enable()
    crew.stop()


def ask(device: Device, body: bytes, budget_ms: int = 5000) -> tuple[int, Any]:
    """Status and document for a JSON body."""
    headers = JSON | {"X-Deadline-Ms": str(budget_ms)}
    reply = device.client.post("/predict", data=body, headers=headers)
    return reply.status_code, reply.get_json()


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_lists_and_objects_are_counted_before_they_are_made(device: Device, opening: bytes) -> None:
    """Three bytes would make a list of a hundred."""
    status, document = ask(device, b'{"input": [' + opening * 600_000)

    assert (status, document["error"]["code"]) == (413, "too_many_lists")


@pytest.mark.parametrize(
    ("path", "key"), [("/predict", "input"), ("/v1/models/colours:predict", "inputs")]
)
def test_more_inputs_than_any_model_has_are_refused(device: Device, path: str, key: str) -> None:
    """The answer says how many, not which."""
    reply = device.client.post(path, json={key: {f"input {n}": [n] for n in range(33)}})

    assert reply.status_code == 400
    assert "expected at most 32 inputs, got 33" in reply.get_data(as_text=True)


def test_large_json_may_say_anything(device: Device) -> None:
    """A name in Chinese beside the numbers, or a face."""
    status, _document = ask(device, ROW[:-1] + ', "part": "法兰 🙂"}'.encode() + b" " * 1_000_000)

    assert status == 200


def test_large_json_bodies_are_worked_on_one_after_the_other(device: Device) -> None:
    """The second is not even read until its deadline; a small one comes through to the model."""
    large = ROW + b" " * 1_000_000

    before = device.model.runs
    device.model.go_on.clear()
    with ThreadPoolExecutor(1) as clients:
        first = clients.submit(ask, device, large)
        until(lambda: device.model.runs > before)
        status, document = ask(device, large, 300)
        small, told = ask(device, ROW, 300)
        device.model.go_on.set()
        assert first.result()[0] == 200, first.result()

    assert (status, document["error"]["code"]) == (504, "too_late")
    assert "another large JSON body" in document["error"]["message"]
    assert small == 504
    assert "another large" not in told["error"]["message"]
    assert ask(device, large)[0] == 200


@pytest.mark.parametrize("width", [32, 800])
def test_a_picture_that_curl_calls_a_form_is_taken(device: Device, width: int) -> None:
    """`curl --data-binary` calls any body an URL-encoded form."""
    content = picture(width=width, height=width, kind="BMP")

    reply = device.client.post(
        "/v1/vision/detection",
        data=content,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert reply.status_code == 200
    assert reply.get_json()["predictions"][0]["label"] == "red"


def test_done_work_holds_nothing(crew: Crew) -> None:
    """What it was about goes at once, not when the next piece of work comes."""
    held = Held()
    watched = weakref.ref(held)
    task = crew.do(lambda held=held: id(held))  # type: ignore[misc]  # a default binds it
    del held

    assert task.result(Deadline.start(5000))

    del task
    until(lambda: watched() is None)


def test_failed_work_holds_nothing(crew: Crew) -> None:
    """Neither does the error that it ended with."""
    held = Held()
    watched = weakref.ref(held)

    def work(held: Held) -> None:
        raise Wrong(id(held))

    task = crew.do(lambda held=held: work(held))  # type: ignore[misc]  # as above
    del held
    with pytest.raises(Wrong):
        task.result(Deadline.start(5000))

    del task
    until(lambda: watched() is None)


@pytest.fixture(scope="module")
def app() -> Iterator[LoneApp]:
    """A running app with the demo's model."""
    with demo_app() as app:
        yield app


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/predict", "application/octet-stream", b"x" * BODY_BYTES),
        ("/predict", "application/json", b'{"image":"' + b"AB " * (BODY_BYTES // 3) + b'"}'),
        ("/v1/vision/detection", "application/x-www-form-urlencoded", b"%41" * (BODY_BYTES // 3)),
        ("/predict", "application/json", '{"image":"🙂'.encode() + b"A" * BODY_BYTES + b'"}'),
        ("/predict", "application/json", b'{"input":[' + b'{"a":1},' * 590_000 + b"1]}"),
    ],
    ids=["raw", "base64", "form", "rare", "objects"],
)
def test_large_bodies_do_not_add_up(app: LoneApp, path: str, kind: str, body: bytes) -> None:
    """However many come, one after the other, into whichever thread; each is refused."""
    headers = {"Content-Type": kind, **PATIENT}
    app.forget_peak()
    for _ in range(20):
        status, _document = app.ask("POST", path, body, headers)
        assert status in (400, 415)

    assert app.peak_mb() < 300
