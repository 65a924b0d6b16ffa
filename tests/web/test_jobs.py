"""Jobs and models over HTTP: what may be saved, what may run; all of it is written down."""

from __future__ import annotations

from typing import Any

import pytest
from device import Device, colour_bundle, picture

from edge_app.audit import Audit
from edge_app.inference.acceptance import Proof
from edge_app.inference.bundle import pack_bundle
from edge_app.jobs import JobStore

JOB = {"name": "Red parts", "model": "colours"}
LIMITS = {
    "good": ["red"],
    "accept": 0.8,
    "reject": 0.4,
    "classes": {"blue": {"accept": 0.1, "reject": 0.5}},
}


def save(device: Device, number: int = 1, **job: Any) -> Any:
    """Save a job."""
    return device.client.put(f"/api/v1/jobs/{number}", json=JOB | job)


def test_a_job_comes_back_as_it_was_saved(device: Device) -> None:
    """All of it, from the file on disk."""
    roi = {"x": 10, "y": 20, "width": 300, "height": 200}

    made = save(device, 7, roi=roi, limits=LIMITS, shots=3, delay_ms=12.5)

    assert made.status_code == 201
    kept = device.client.get("/api/v1/jobs/7").get_json()
    assert kept == made.get_json()
    assert (kept["number"], kept["name"], kept["roi"], kept["shots"]) == (7, "Red parts", roi, 3)
    assert kept["limits"]["classes"] == LIMITS["classes"]
    assert [job["number"] for job in device.client.get("/api/v1/jobs").get_json()["jobs"]] == [7]


def test_saving_again_replaces(device: Device) -> None:
    """200 instead of 201, and the log has both."""
    save(device)

    again = save(device, name="Really red parts")

    assert again.status_code == 200
    newest = device.client.get("/api/v1/audit?target=job/1").get_json()["entries"][0]
    assert newest["old"]["name"] == "Red parts"
    assert newest["new"]["name"] == "Really red parts"


@pytest.mark.parametrize(
    ("number", "job"),
    [
        (0, {}),
        (1000, {}),
        (1, {"model": "nobody"}),
        (1, {"limits": {"good": ["yellow"]}}),
        (1, {"limits": {"good": ["red"], "accept": 0.2, "reject": 0.9}}),
        (1, {"limits": 7}),
        (1, {"roi": {"x": 1}}),
        (1, {"shots": 0}),
        (1, {"shots": "many"}),
        (1, {"colour": "red"}),
        (1, {"delay_ms": float("inf")}),
    ],
)
def test_a_job_that_can_not_run_is_not_saved(
    device: Device, number: int, job: dict[str, Any]
) -> None:
    """It is refused with the reason before anything is written."""
    reply = save(device, number, **job)

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (400, "bad_job")
    assert JobStore(device.data_dir / "jobs").numbers() == []


def test_a_damaged_job_file_is_told(device: Device) -> None:
    """The list still comes, and names the fault."""
    save(device)
    (device.data_dir / "jobs" / "001.toml").write_text("name = ")

    (job,) = device.client.get("/api/v1/jobs").get_json()["jobs"]

    assert job["number"] == 1
    assert job["fault"]


def test_an_unknown_job_is_not_found(device: Device) -> None:
    """The answer names those that there are."""
    reply = device.client.get("/api/v1/jobs/5")

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (404, "unknown_job")


def test_a_model_is_uploaded_and_activated(device: Device) -> None:
    """From then on it judges, and the log says who changed what."""
    content = pack_bundle(colour_bundle(marker="b"))

    added = device.client.post("/api/v1/models", data=content)
    switched = device.client.post("/api/v1/models/colours/versions/2/activate?measure=0")

    assert (added.status_code, added.get_json()["version"]) == (201, 2)
    assert not added.get_json()["active"]
    assert (switched.status_code, switched.get_json()["active"]) == (200, 2)
    assert device.client.post("/predict", data=picture()).get_json()["model"] == "colours/2"
    log = device.client.get("/api/v1/audit").get_json()["entries"]
    assert [entry["action"] for entry in log] == ["model.activate", "model.add"]
    assert (log[0]["old"], log[0]["new"]) == (1, 2)


def test_rolling_back_brings_the_old_one(device: Device) -> None:
    """The version before judges again."""
    device.install(marker="b")

    reply = device.client.post("/api/v1/models/colours/rollback")

    assert reply.get_json()["active"] == 1
    assert device.client.post("/predict", data=picture()).get_json()["model"] == "colours/1"


def test_a_model_that_fails_its_proof_is_refused(device: Device) -> None:
    """409 with the reason; the old one goes on, and nothing is logged as done."""
    device.store.add_content(pack_bundle(colour_bundle(marker="b")))
    device.store._prove = lambda *_, **__: Proof("sample 3 differs")

    reply = device.client.post("/api/v1/models/colours/versions/2/activate?measure=0")

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (409, "refused")
    assert "sample 3 differs" in reply.get_json()["error"]["message"]
    assert device.client.get("/health").get_json()["model"] == "colours/1"
    assert device.client.get("/api/v1/audit").get_json()["entries"] == []


@pytest.mark.parametrize("content", [b"", b"hello", pack_bundle(colour_bundle("x"))[:-9]])
def test_what_is_no_model_is_refused(device: Device, content: bytes) -> None:
    """Nothing of it is kept."""
    reply = device.client.post("/api/v1/models", data=content)

    assert reply.status_code in (400, 409)
    assert device.store.names() == ["colours"]


def test_the_active_version_is_not_removed(device: Device) -> None:
    """Another one is."""
    device.install(marker="b")

    active = device.client.delete("/api/v1/models/colours/versions/2")
    idle = device.client.delete("/api/v1/models/colours/versions/1")

    assert (active.status_code, idle.status_code) == (409, 204)
    assert [version.version for version in device.store.versions("colours")] == [2]


def test_the_list_tells_what_a_job_needs(device: Device) -> None:
    """Labels and limits of the active version."""
    (model,) = device.client.get("/api/v1/models").get_json()["models"]

    assert model["labels"] == ["red", "green", "blue"]
    assert model["limits"]["good"] == ["red"]
    assert (model["active"], model["loaded"], model["default"]) == (1, 1, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nobody"),
        ("POST", "/nobody/rollback"),
        ("POST", "/colours/versions/9/activate"),
        ("DELETE", "/colours/versions/9"),
    ],
)
def test_an_unknown_model_is_not_found(device: Device, method: str, path: str) -> None:
    """Models and versions alike."""
    reply = device.client.open(f"/api/v1/models{path}", method=method)

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (404, "unknown_model")


def test_the_log_of_all_this_is_whole(device: Device) -> None:
    """What the app wrote follows one from the other."""
    save(device)
    save(device, 2)

    assert Audit(device.data_dir).verify() == 2
