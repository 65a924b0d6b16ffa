"""`POST /predict` in every form, and what it answers to what is none."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from device import LABELS, SIDE, Device, colour_bundle, picture
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.engines import Engines
from edge_app.inference.budget import Deadline
from edge_app.inference.bundle import pack_bundle
from edge_app.inference.engine import Engine
from edge_app.inference.interpreter import ModelFailed
from edge_app.models import ModelVersion, StoreError
from edge_app.room import Room

RED = [[[1.0, 0.0, 0.0]] * SIDE] * SIDE
BLUE = [[[0.0, 0.0, 1.0]] * SIDE] * SIDE


def in_base64(content: bytes) -> str:
    """Base64 text."""
    return base64.b64encode(content).decode()


FORMS: dict[str, Any] = {
    "multipart": {"data": {"image": (io.BytesIO, "part.png")}},
    "raw": {"content_type": "image/png"},
    "raw, as curl sends it": {"content_type": "application/x-www-form-urlencoded"},
    "raw, any type": {"content_type": "application/octet-stream"},
    "base64": {"json": lambda content: {"image": in_base64(content)}},
    "data URL": {"json": lambda content: {"image": f"data:image/png;base64,{in_base64(content)}"}},
}


def send(client: FlaskClient, form: str, content: bytes, path: str = "/predict") -> Any:
    """Post a picture in one of the forms."""
    if form == "multipart":
        return client.post(path, data={"image": (io.BytesIO(content), "part.png")})
    if form.startswith("raw"):
        return client.post(path, data=content, content_type=FORMS[form]["content_type"])
    return client.post(path, json=FORMS[form]["json"](content))


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_is_judged_in_every_form(device: Device, form: str) -> None:
    """Multipart, raw, base64 and data URL get the same answer."""
    answer = send(device.client, form, picture("red")).get_json()

    assert answer["predicted_class"] == "red"
    assert answer["confidence"] == pytest.approx(1.0)
    assert list(answer["class_scores"]) == list(LABELS)
    assert answer["verdict"] == "OK"
    assert answer["model"] == "colours/1"
    assert answer["image"] == {"width": 32, "height": 24}


def test_a_bad_part_is_ng(device: Device) -> None:
    """A picture of the wrong colour is NG, and the reason says by how much."""
    answer = send(device.client, "raw", picture("blue")).get_json()

    assert answer["verdict"] == "NG"
    assert "good 0.0%" in answer["reason"]


def test_the_model_is_named_in_the_path(device: Device) -> None:
    """`/predict/<model>` asks that model, loaded when it is first asked for."""
    device.install("shades")
    device.engines.start()

    answer = send(device.client, "raw", picture("green"), "/predict/shades")

    assert answer.status_code == 200
    assert answer.get_json()["model"] == "shades/1"
    device.engines.stop()


def test_a_version_that_does_not_run_is_asked_by_its_number(device: Device) -> None:
    """`/predict/<model>/versions/<n>` asks that version; the active one stays what it is."""
    idle = device.store.add_content(pack_bundle(colour_bundle(marker="b")))
    device.engines.start()

    answer = send(device.client, "raw", picture(), f"/predict/colours/versions/{idle.version}")
    plain = send(device.client, "raw", picture())
    nobody = send(device.client, "raw", picture(), "/predict/colours/versions/99")

    assert answer.get_json()["model"] == f"colours/{idle.version}"
    assert plain.get_json()["model"] == "colours/1"
    assert nobody.status_code == 404
    device.engines.stop()


def test_an_unproved_version_is_refused(device: Device) -> None:
    """A version that fails its proof is never run, not even to compare; the device says why."""
    idle = device.store.add_content(pack_bundle(colour_bundle(marker="b")))

    def load(_version: object, _bundle: object) -> Engine:
        raise AssertionError("it was loaded")

    def prove(name: str) -> ModelVersion | None:
        if "/" in name:
            raise StoreError(f"model {name} failed its proof")
        return device.store.active(name)

    engines = Engines(device.store, load, lambda: "", Room(10_000_000), prove)
    engines.start()
    with pytest.raises(ModelFailed, match="failed its proof"):
        engines.get(f"colours/{idle.version}", Deadline.start(5000))
    engines._failed.clear()  # as when another model becomes the default one
    with pytest.raises(ModelFailed, match="no version of model"):
        engines.get(f"colours/{idle.version}", Deadline.start(5000))
    engines.stop()


def test_an_unknown_model_is_not_found(device: Device) -> None:
    """The answer names the models that there are."""
    answer = send(device.client, "raw", picture(), "/predict/nobody")

    assert answer.status_code == 404
    assert answer.get_json()["error"]["code"] == "unknown_model"
    assert "colours" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize("value", [RED, [RED], {"picture": RED}, {"picture": [RED]}])
def test_a_tensor_is_answered_by_output_name(device: Device, value: object) -> None:
    """With and without the batch's dimension, with and without the input's name."""
    answer = device.client.post("/predict", json={"input": value})

    assert answer.get_json() == {"scores": [[1.0, 0.0, 0.0]]}


def test_a_batch_is_answered_row_by_row(device: Device) -> None:
    """Rows come back in the order in which they were sent."""
    answer = device.client.post("/predict", json={"input": [RED, BLUE, RED]})

    assert answer.get_json() == {"scores": [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]}


def test_numbers_that_are_none_are_null(device: Device) -> None:
    """JSON has no NaN: what a broken model gives is null, and never OK."""
    device.model.nonsense = True

    tensor = device.client.post("/predict", json={"input": RED})
    judged = device.client.post("/predict", data=picture(), content_type="image/png")

    assert json.loads(tensor.data, parse_constant=pytest.fail) == {"scores": [[None] * 3]}
    answer = json.loads(judged.data, parse_constant=pytest.fail)
    assert answer["verdict"] == "NONE"
    assert answer["code"] == 40


BAD_BODIES: list[tuple[int, str, dict[str, Any]]] = [
    (400, "no_image", {"data": b""}),
    (400, "no_image", {"data": {"other": "1"}, "content_type": "multipart/form-data"}),
    (415, "unknown_image_kind", {"data": b"hello", "content_type": "image/png"}),
    (400, "bad_image", {"data": picture()[:60], "content_type": "image/png"}),
    (400, "bad_json", {"data": b"{", "content_type": "application/json"}),
    (400, "bad_json", {"data": b"[1]", "content_type": "application/json"}),
    (400, "bad_json", {"data": b"[" * 100_000, "content_type": "application/json"}),
    (400, "bad_json", {"json": {}}),
    (400, "bad_json", {"json": {"image": "", "input": []}}),
    (400, "bad_base64", {"json": {"image": "%%%"}}),
    (400, "bad_base64", {"json": {"image": 7}}),
    (400, "bad_base64", {"json": {"image": "http://192.0.2.1/part.jpg"}}),
    (400, "bad_tensor", {"json": {"input": "red"}}),
    (400, "bad_tensor", {"json": {"input": [[1, 2], [3]]}}),
    (400, "bad_tensor", {"json": {"input": [1, 2, 3]}}),
    (400, "bad_tensor", {"json": {"input": {"other": RED}}}),
    (400, "bad_tensor", {"json": {"input": [RED] * 65}}),
    (400, "bad_tensor", {"json": {"input": []}}),
    (400, "bad_tensor", {"json": {"input": None}}),
    (400, "bad_tensor", {"data": b'{"input": [NaN]}', "content_type": "application/json"}),
]


@pytest.mark.parametrize(("status", "code", "body"), BAD_BODIES)
def test_what_is_no_upload_is_refused(
    device: Device, status: int, code: str, body: dict[str, Any]
) -> None:
    """Each with the right status and the one error shape, and no record is made."""
    answer = device.client.post("/predict", **body)

    assert (status, code) == (answer.status_code, answer.get_json()["error"]["code"])
    assert answer.get_json()["error"]["message"]
    assert device.seen == []


def test_the_error_shape_is_the_same_everywhere(device: Device) -> None:
    """Also for unknown paths, wrong methods and bodies that are too large."""
    client = device.client

    answers = [
        client.get("/nowhere"),
        client.get("/predict"),
        client.post("/predict", data=b"x" * 16_000_001),
    ]

    assert [answer.status_code for answer in answers] == [404, 405, 413]
    for answer in answers:
        assert set(answer.get_json()["error"]) == {"code", "message"}


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "soon", "10001", ""])
def test_a_deadline_that_is_none_is_refused(device: Device, text: str) -> None:
    """`X-Deadline-Ms` is a number within the allowed range."""
    answer = device.client.post("/predict", data=picture(), headers={"X-Deadline-Ms": text})

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "bad_deadline")


def test_a_part_id_is_kept(device: Device) -> None:
    """The record carries the part it belongs to."""
    answer = device.client.post("/predict?part=AB12", data=picture()).get_json()

    assert device.record(answer["id"]).part == "AB12"


@pytest.mark.parametrize("part", ["x" * 33, "a%00b", "%0Aend"])
def test_a_part_id_that_is_none_is_refused(device: Device, part: str) -> None:
    """A part's id is never cut short: it would belong to another part."""
    answer = device.client.post(f"/predict?part={part}", data=picture())

    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "bad_part")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=400),
    kind=st.sampled_from(
        ["", "application/json", "image/jpeg", "multipart/form-data; boundary=x", "text/plain"]
    ),
)
def test_garbage_never_breaks_anything(device: Device, body: bytes, kind: str) -> None:
    """Any bytes with any type are refused in the one shape."""
    answer = device.client.post("/predict", data=body, content_type=kind)

    assert 400 <= answer.status_code < 500
    assert answer.get_json()["error"]["code"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=20,
    )
)
def test_odd_tensors_never_break_anything(device: Device, value: object) -> None:
    """Any JSON value as input is refused, not crashed on."""
    answer = device.client.post("/predict", json={"input": value})

    assert answer.status_code == 400
    assert answer.get_json()["error"]["code"] == "bad_tensor"


def test_a_noisy_picture_gets_sound_scores(device: Device) -> None:
    """Scores are numbers from 0 to 1, whatever is on the picture."""
    noise = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE, 3)) / 255

    answer = device.client.post("/predict", json={"input": noise.tolist()}).get_json()

    assert sum(answer["scores"][0]) == pytest.approx(1.0, abs=1e-5)
