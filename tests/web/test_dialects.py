"""Dialects of others, asked as their own clients ask."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from device import SIDE, Device, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.config import AppSettings
from edge_app.inference.detection import Detection
from edge_app.inference.judge import Decision
from edge_app.inference.tasks import Prediction
from edge_app.records.inspection import Inspection
from edge_app.upload import Judged
from edge_app.web.deepstack import predictions
from edge_app.web.server import Server

RED = np.zeros((1, SIDE, SIDE, 3), np.float32)
RED[..., 0] = 1.0
BLUE = RED[..., ::-1].copy()


@pytest.fixture
def served(device: Device) -> Iterator[str]:
    """Host and port of a running server."""
    server = Server(device.app, replace(AppSettings(), port=0), [])
    server.start()
    yield f"127.0.0.1:{server.port}"
    server.stop(within_s=0.3)


def post(device: Device, path: str, document: Any) -> tuple[int, Any]:
    """Post JSON; status and document."""
    reply = device.client.post(path, json=document)
    return reply.status_code, reply.get_json()


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_asks_for_tensors(served: str, binary: bool) -> None:
    """Triton's own client gets numbers back, as JSON and as bytes."""
    triton = pytest.importorskip("tritonclient.http")
    with triton.InferenceServerClient(served) as client:
        batch = np.concatenate([RED, BLUE])
        tensor = triton.InferInput("picture", batch.shape, "FP32")
        tensor.set_data_from_numpy(batch, binary_data=binary)
        wanted = [triton.InferRequestedOutput("scores", binary_data=binary)]
        headers = {"X-Deadline-Ms": "5000"}

        answer = client.infer(
            "colours", [tensor], outputs=wanted, request_id="a-17", headers=headers
        )

        assert answer.get_response()["id"] == "a-17"
        assert answer.get_response()["model_version"] == "1"
        np.testing.assert_allclose(answer.as_numpy("scores"), [[1, 0, 0], [0, 0, 1]])


def test_tritonclient_looks_around(served: str) -> None:
    """Health, metadata and the index are as the client expects them."""
    triton = pytest.importorskip("tritonclient.http")
    with triton.InferenceServerClient(served) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("colours")
        assert not client.is_model_ready("nobody")
        assert client.get_server_metadata()["name"] == "lineside"
        metadata = client.get_model_metadata("colours", "1")
        assert metadata["inputs"] == [
            {"name": "picture", "datatype": "FP32", "shape": [-1, SIDE, SIDE, 3]}
        ]
        assert client.get_model_repository_index()[0]["state"] == "READY"


def test_tritonclient_asks_for_classes(served: str) -> None:
    """The classification extension gives score, place and label."""
    triton = pytest.importorskip("tritonclient.http")
    with triton.InferenceServerClient(served) as client:
        tensor = triton.InferInput("picture", BLUE.shape, "FP32")
        tensor.set_data_from_numpy(BLUE)
        wanted = [triton.InferRequestedOutput("scores", class_count=2)]

        answer = client.infer(
            "colours", [tensor], outputs=wanted, headers={"X-Deadline-Ms": "5000"}
        )

        assert answer.as_numpy("scores")[0][0] == b"1.000000:2:blue"


def test_tritonclient_hears_what_is_wrong(served: str) -> None:
    """A refusal is an error with our sentence in it."""
    triton = pytest.importorskip("tritonclient.http")
    from tritonclient.utils import InferenceServerException

    with triton.InferenceServerClient(served) as client:
        tensor = triton.InferInput("picture", [1, 3], "FP32")
        tensor.set_data_from_numpy(np.zeros((1, 3), np.float32))

        with pytest.raises(InferenceServerException, match=r"expected shape \[8, 8, 3\]"):
            client.infer("colours", [tensor], headers={"X-Deadline-Ms": "5000"})


def test_pictures_travel_as_bytes(device: Device) -> None:
    """A model of pictures takes files, too, and keeps a record of each."""
    blob = b"".join(
        len(content).to_bytes(4, "little") + content for content in (picture(), picture("blue"))
    )
    tensor = {
        "name": "image",
        "shape": [2],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(blob)},
    }
    head = json.dumps({"inputs": [tensor]}).encode()

    reply = device.client.post(
        "/v2/models/colours/infer",
        data=head + blob,
        headers={"Inference-Header-Content-Length": str(len(head))},
    )

    (scores,) = reply.get_json()["outputs"]
    assert scores["shape"] == [2, 3]
    assert scores["data"] == pytest.approx([1, 0, 0, 0, 0, 1])
    assert [inspection.decision for inspection in device.seen] == [Decision.OK, Decision.NG]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"inputs": []},
        {"inputs": [7]},
        {"inputs": [{"name": "picture"}]},
        {"inputs": [{"name": "picture", "shape": [1], "datatype": "FP32", "data": ["x"]}]},
        {"inputs": [{"name": "picture", "shape": [-1], "datatype": "FP32", "data": [1]}]},
        {"inputs": [{"name": "picture", "shape": [2], "datatype": "FP32", "data": [1]}]},
        {"inputs": [{"name": "picture", "shape": [1], "datatype": "FP128", "data": [1]}]},
        {"inputs": [{"name": "x", "shape": [1], "datatype": "INT8", "data": [999]}]},
        {"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["%"]}]},
    ],
)
def test_a_broken_request_is_told(device: Device, document: Any) -> None:
    """400 with `error` as text, as the protocol has it."""
    status, answer = post(device, "/v2/models/colours/infer", document)

    assert status in (400, 415)
    assert isinstance(answer["error"], str)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    head=st.integers(-1, 300).map(str) | st.text("0123456789x", max_size=4),
    size=st.integers(-5, 300) | st.none() | st.booleans(),
    shape=st.lists(st.integers(-1, 5), max_size=5),
    datatype=st.sampled_from(["FP32", "UINT8", "BYTES", "BOOL", "?"]),
    blob=st.binary(max_size=60),
)
def test_garbled_tensors_never_break_anything(
    device: Device, *, head: str, size: Any, shape: list[int], datatype: str, blob: bytes
) -> None:
    """Whatever sizes are claimed, the answer is a refusal."""
    parameters = {} if size is None else {"binary_data_size": size}
    tensor = {"name": "picture", "shape": shape, "datatype": datatype, "parameters": parameters}
    body = json.dumps({"inputs": [tensor]}).encode()
    for length in (head, str(len(body))):
        reply = device.client.post(
            "/v2/models/colours/infer",
            data=body + blob,
            headers={"Inference-Header-Content-Length": length},
        )
        assert 400 <= reply.status_code < 500
        assert reply.get_json()["error"]


def test_rows_as_tensorflow_serving_has_them(device: Device) -> None:
    """`instances` give `predictions`, a row for each."""
    path = "/v1/models/colours:predict"

    plain = post(device, path, {"instances": [RED[0].tolist(), BLUE[0].tolist()]})
    named = post(device, path, {"instances": [{"picture": RED[0].tolist()}]})

    assert plain == (200, {"predictions": [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]})
    assert named == (200, {"predictions": [[1.0, 0.0, 0.0]]})


def test_columns_as_tensorflow_serving_has_them(device: Device) -> None:
    """`inputs` give `outputs`; the only one goes without its name."""
    path = "/v1/models/colours/versions/1:predict"

    for inputs in (RED.tolist(), {"picture": RED.tolist()}):
        assert post(device, path, {"inputs": inputs}) == (200, {"outputs": [[1.0, 0.0, 0.0]]})


def test_files_as_tensorflow_serving_has_them(device: Device) -> None:
    """Binary values are `b64` objects; they are judged and recorded."""
    text = base64.b64encode(picture()).decode()

    for instance in ({"b64": text}, {"image_bytes": {"b64": text}}):
        status, answer = post(device, "/v1/models/colours:predict", {"instances": [instance]})
        assert (status, answer) == (200, {"predictions": [pytest.approx([1.0, 0.0, 0.0])]})
    assert len(device.seen) == 2


def test_status_and_metadata_as_tensorflow_serving_has_them(device: Device) -> None:
    """Versions and sizes are texts there."""
    status = device.client.get("/v1/models/colours").get_json()
    metadata = device.client.get("/v1/models/colours/metadata").get_json()

    assert status["model_version_status"][0]["version"] == "1"
    assert status["model_version_status"][0]["state"] == "AVAILABLE"
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    dimensions = signature["inputs"]["picture"]["tensor_shape"]["dim"]
    assert [dimension["size"] for dimension in dimensions] == ["-1", "8", "8", "3"]


@pytest.mark.parametrize(
    ("status", "path", "document"),
    [
        (404, "/v1/models/half:predict", {"instances": [1]}),
        (404, "/v1/models/colours/versions/9:predict", {"instances": [1]}),
        (400, "/v1/models/colours:predict", {}),
        (400, "/v1/models/colours:predict", {"instances": []}),
        (400, "/v1/models/colours:predict", {"instances": 7}),
        (400, "/v1/models/colours:predict", {"instances": [{"a": 1}, 7]}),
        (400, "/v1/models/colours:predict", {"instances": [1], "inputs": [1]}),
        (400, "/v1/models/colours:predict", {"instances": [1], "signature_name": "other"}),
    ],
)
def test_tensorflow_servings_errors_are_texts(
    device: Device, status: int, path: str, document: Any
) -> None:
    """`error` is a sentence."""
    got, answer = post(device, path, document)

    assert (got, isinstance(answer["error"], str)) == (status, True)


def test_a_deepstack_client_gets_boxes(device: Device) -> None:
    """A classifier's answer is a box around the whole picture."""
    reply = device.client.post(
        "/v1/vision/detection", data={"image": (io.BytesIO(picture()), "x.jpg"), "api_key": "k"}
    )

    box = {"x_min": 0, "y_min": 0, "x_max": 32, "y_max": 24}
    assert reply.get_json() == {
        "success": True,
        "predictions": [{"label": "red", "confidence": 1.0} | box],
    }


def test_boxes_come_surest_first() -> None:
    """Frigate stops reading at the first one below its threshold."""
    found = tuple(
        Detection("cat", score, 1.4, 2.6, 10.5, 20.2) for score in (0.3, 0.9, float("nan"), 0.5)
    )
    judged = Judged(
        Inspection(1, "upload", "upload"), Prediction(kind="detection", detections=found), 9, 9
    )

    listed = predictions(judged)

    assert [entry["confidence"] for entry in listed] == [0.9, 0.5, 0.3]
    assert (listed[0]["x_min"], listed[0]["y_max"]) == (1, 20)


def test_a_deepstack_client_asks_for_a_scene(device: Device) -> None:
    """Label and confidence of the whole picture."""
    reply = device.client.post(
        "/v1/vision/scene", data={"image": (io.BytesIO(picture("green")), "x.jpg")}
    )

    assert reply.get_json() == {"success": True, "label": "green", "confidence": 1.0}


@pytest.mark.parametrize("least", ["2", "-1", "x", "nan"])
def test_deepstacks_errors_say_success_false(device: Device, least: str) -> None:
    """With the right status all the same."""
    reply = device.client.post(
        "/v1/vision/detection",
        data={"image": (io.BytesIO(picture()), "x.jpg"), "min_confidence": least},
    )

    assert reply.status_code == 400
    assert reply.get_json()["success"] is False


def test_an_overloaded_dialect_answers_in_its_own_shape(device: Device) -> None:
    """503 with `Retry-After`, in the words of each."""
    device.model.failing = "no memory"
    for _ in range(5):
        device.client.post("/predict", data=picture())

    triton = post(device, "/v2/models/colours/infer", {"inputs": []})
    serving = device.client.post("/v1/models/colours:predict", json={"inputs": RED.tolist()})

    assert triton[0] == 400
    assert serving.status_code == 503
    assert serving.headers["Retry-After"]
    assert isinstance(serving.get_json()["error"], str)
