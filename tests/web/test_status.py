"""What the app says of itself, with and without a model, with and without its lines."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from device import Device, picture, until

from edge_app.vitals import Sensors


class LineDouble(BaseHTTPRequestHandler):
    """Answers on a control socket as a line does."""

    asked: list[tuple[str, str, bytes]] = []  # noqa: RUF012 - one double at a time

    def address_string(self) -> str:
        """A Unix socket's peer has no address."""
        return "app"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        """Status and live picture."""
        if self.path == "/live.jpg":
            self._reply(b"\xff\xd8picture", "image/jpeg")
        else:
            self._reply(json.dumps({"ready": True, "job": 1}).encode(), "application/json")

    def do_POST(self) -> None:
        """Whatever it is told to do, it does."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(("POST", self.path, body))
        self._reply(b'{"verdict": "OK"}', "application/json")

    def _reply(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def lined(data_dir: Path) -> Iterator[Device]:
    """A device with one camera, whose line is not running."""
    device = Device(data_dir, cameras=("cam1",)).start()
    device.install()
    device.lines.start()
    yield device
    device.lines.stop()
    device.stop()


@pytest.fixture
def line(lined: Device) -> Iterator[type[LineDouble]]:
    """The line is running."""
    folder = lined.data_dir / "run"
    folder.mkdir(exist_ok=True)
    LineDouble.asked.clear()
    with socketserver.ThreadingUnixStreamServer(str(folder / "cam1.sock"), LineDouble) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        until(lambda: lined.lines.state("cam1").to_json()["up"])
        yield LineDouble
        server.shutdown()
        thread.join()


def get(device: Device, path: str) -> tuple[int, Any]:
    """Status and document."""
    reply = device.client.get(path)
    return reply.status_code, reply.get_json()


def test_a_healthy_app_says_so(device: Device) -> None:
    """`/health` is one look for a monitor."""
    status, document = get(device, "/health")

    assert status == 200
    assert (document["status"], document["model_loaded"]) == ("ok", True)
    assert document["model"] == "colours/1"


def test_without_a_model_the_app_stays_up(empty_device: Device) -> None:
    """It can't judge and says so, so that a person can give it a model."""
    status, document = get(empty_device, "/health")

    assert status == 503
    assert document["model_loaded"] is False
    assert "there are: none" in document["reason"]
    assert empty_device.client.post("/predict", data=b"x").status_code == 404
    assert get(empty_device, "/api/v1/status")[0] == 200


def test_a_model_that_comes_later_is_taken_up(empty_device: Device) -> None:
    """Nothing has to be restarted."""
    empty_device.install()

    assert get(empty_device, "/health")[0] == 200


def test_a_new_version_takes_the_place_of_the_old_one(device: Device) -> None:
    """A swap shows in the status and in the next answer."""
    device.install(marker="b")

    assert get(device, "/health")[1]["model"] == "colours/2"


def test_a_version_that_can_not_run_leaves_the_old_one(device: Device) -> None:
    """A failed swap is told, and uploads are judged as before."""
    device.model.failing = "an operator is missing"
    device.install(marker="b")
    device.model.failing = ""

    status, document = get(device, "/health")

    assert (status, document["model"]) == (200, "colours/1")
    assert document["reason"] == "an operator is missing"
    assert document["status"] == "degraded"


def test_the_status_tells_what_is_live(device: Device) -> None:
    """Models, admission and records in one document."""
    _, document = get(device, "/api/v1/status")

    (model,) = document["models"]
    assert (model["name"], model["version"], model["labels"]) == (
        "colours",
        1,
        ["red", "green", "blue"],
    )
    assert document["uploads"]["inside"] == 0
    assert document["uptime_s"] >= 0


def test_the_status_tells_how_the_machine_is(data_dir: Path, tmp_path: Path) -> None:
    """Heat, power, clock, memory and disk, from where the kernel shows them."""
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "temp").write_text("81500\n")
    device = Device(data_dir, sensors=Sensors(tmp_path, lambda: False)).start()

    _, document = get(device, "/api/v1/status")

    box = document["box"]
    assert (box["celsius"], box["strained"], box["clock_kept"]) == (81.5, True, False)
    assert box["memory_bytes"] is None
    assert box["free_bytes"] > 0
    assert device.client.get("/page/box").get_json() == box
    device.stop()


def test_the_status_tells_what_is_written(device: Device) -> None:
    """By purpose, today and since the start."""
    device.client.post("/predict", data=picture())
    until(lambda: get(device, "/api/v1/status")[1]["written"]["today"]["pictures"] > 0)

    _, document = get(device, "/api/v1/status")

    assert document["written"]["since_start"]["pictures"] == document["pictures"]["kept_bytes"]
    assert document["pictures"]["limited"] == ""


def test_a_line_that_is_down_is_told(lined: Device) -> None:
    """Health is degraded, and the status says since when and why."""
    until(lambda: lined.lines.state("cam1").reason)

    _, health = get(lined, "/health")
    _, camera = get(lined, "/api/v1/cameras/cam1")

    assert (health["status"], health["lines_down"]) == ("degraded", ["cam1"])
    assert camera["up"] is False
    assert camera["down_s"] >= 0
    assert "does not answer" in camera["reason"]


def test_no_picture_of_a_line_that_is_down(lined: Device) -> None:
    """Better no picture than yesterday's."""
    status, document = get(lined, "/api/v1/cameras/cam1/live.jpg")

    assert (status, document["error"]["code"]) == (503, "line_down")


@pytest.mark.usefixtures("line")
def test_a_line_that_answers_is_up(lined: Device) -> None:
    """Its own status is shown with its age."""
    _, camera = get(lined, "/api/v1/cameras/cam1")

    assert camera["up"] is True
    assert camera["age_s"] < 5
    assert camera["status"]["job"] == 1
    assert get(lined, "/health")[1]["status"] == "ok"


@pytest.mark.usefixtures("line")
def test_the_live_picture_is_never_kept(lined: Device) -> None:
    """The line's newest picture, not to be stored by anybody."""
    reply = lined.client.get("/api/v1/cameras/cam1/live.jpg")

    assert reply.data == b"\xff\xd8picture"
    assert reply.content_type == "image/jpeg"
    assert reply.headers["Cache-Control"] == "no-store"


def test_a_trigger_goes_to_the_line(lined: Device, line: type[LineDouble]) -> None:
    """The page's trigger carries the part's id, and the line's answer comes back."""
    reply = lined.client.post("/api/v1/cameras/cam1/trigger?part=AB12")

    assert reply.get_json()["verdict"] == "OK"
    ((method, path, body),) = line.asked
    assert (method, path) == ("POST", "/trigger")
    assert json.loads(body) == {
        "part": "AB12",
        "test": "",
        "request_id": reply.headers["X-Request-Id"],
    }


def test_an_unknown_camera_is_not_found(lined: Device) -> None:
    """The answer names those that there are."""
    for path in ("", "/live.jpg"):
        status, document = get(lined, f"/api/v1/cameras/cam9{path}")
        assert (status, document["error"]["code"]) == (404, "unknown_camera")
        assert "cam1" in document["error"]["message"]


def test_the_status_tells_how_long_uploads_take(device: Device) -> None:
    """Percentiles of the newest, and the slowest with their laps."""
    assert get(device, "/api/v1/status")[1]["uploads"]["latency_ms"]["p99"] is None
    for takes_s in (0.05, *[0.0] * 29):
        device.model.takes_s = takes_s
        assert device.client.post("/predict", data=picture()).status_code == 200

    uploads = get(device, "/api/v1/status")[1]["uploads"]

    assert uploads["latency_ms"]["max"] >= 50 > uploads["latency_ms"]["p50"]
    assert len(uploads["slowest"]) == 20
    assert uploads["slowest"][0]["laps_ms"]["invoke"] >= 50
