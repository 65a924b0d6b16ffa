"""What stands in `deploy/k3s` fits our programs; `.ci/run units` holds it against Kubernetes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, repeat
from pathlib import Path
from typing import Any

import pytest
import yaml

from camera.assembly import check
from camera.plc.record import PlcRecord
from edge_app.config import Settings
from edge_app.settings_file import load_settings

K3S = Path(__file__).parents[2] / "deploy" / "k3s"
MANIFEST = {one["kind"]: one for one in yaml.safe_load_all((K3S / "lineside.yaml").read_text())}
POD: dict[str, Any] = MANIFEST["Deployment"]["spec"]["template"]["spec"]
LINE, APP = POD["containers"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings that the manifest has, read as the programs read them."""
    file = tmp_path / "lineside.toml"
    file.write_text(MANIFEST["ConfigMap"]["data"]["lineside.toml"])
    return load_settings(file, {})


def test_each_program_has_a_container(settings: Settings) -> None:
    """The app, and one line for each camera that the settings name, from the same image."""
    assert [LINE["name"]] == list(settings.cameras)
    for camera in settings.cameras.values():
        check(camera)
    config = ["--config", "/etc/lineside/lineside.toml"]
    assert LINE["command"] == ["lineside-camera", "cam1", *config]
    assert APP["command"] == ["lineside-app", *config]
    assert LINE["image"] == APP["image"]


def test_who_asks_finds_the_ports(settings: Settings) -> None:
    """Even while the pod is not ready: page and PLC have to hear why there is no decision."""
    service = MANIFEST["Service"]["spec"]
    open_ports = {port["name"]: port["containerPort"] for port in LINE["ports"] + APP["ports"]}

    assert open_ports == {"http": settings.app.port, "plc": settings.cameras["cam1"].plc_port}
    assert {port["targetPort"] for port in service["ports"]} == set(open_ports)
    assert service["publishNotReadyAddresses"] is True
    assert APP["readinessProbe"]["httpGet"] == {"path": "/health", "port": "http"}


def test_both_share_data_and_sockets_and_nothing_else_is_writable(settings: Settings) -> None:
    """Folders of the settings are volumes, and the rest is closed."""
    volumes = {volume["name"] for volume in POD["volumes"]}
    for container in (LINE, APP):
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert {str(settings.data_dir), str(settings.socket_dir)} <= set(mounts)
        assert {mount["name"] for mount in mounts.values()} <= volumes
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"] == "512Mi"
    assert POD["securityContext"]["runAsNonRoot"] is True


def test_a_usb_camera_is_given_to_the_line_alone() -> None:
    """By a device plugin, without any privilege."""
    overlay = yaml.safe_load((K3S / "usb-camera" / "kustomization.yaml").read_text())
    (patch,) = overlay["patches"]
    deployment = yaml.safe_load(yaml.safe_dump(MANIFEST["Deployment"]))
    for step in yaml.safe_load(patch["patch"]):
        assert step["op"] == "add"
        *path, last = [part.replace("~1", "/") for part in step["path"].split("/")[1:]]
        place = deployment
        for part in path:
            place = place[int(part) if part.isdecimal() else part]
        place[last] = step["value"]

    line, app = deployment["spec"]["template"]["spec"]["containers"]
    assert line["name"] == "cam1"
    assert line["resources"]["limits"] == {"memory": "512Mi", "squat.ai/video": 1}
    assert app == APP


@pytest.fixture
def plc() -> Iterator[tuple[int, list[Iterator[int]]]]:
    """A PLC port that tells of the beats that it is given; its number."""
    beats: list[Iterator[int]] = [repeat(7)]

    class Port(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = PlcRecord(beat=next(beats[0])).to_json()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Port) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, beats
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("beats", "alive"), [(count(1), True), (repeat(7), False)])
def test_a_line_that_stands_still_is_started_again(
    plc: tuple[int, list[Iterator[int]]], beats: Iterator[int], *, alive: bool
) -> None:
    """An open port is no proof of life: the beat of the inspection loop has to go on."""
    port, told = plc
    told[0] = beats
    program, *arguments = LINE["livenessProbe"]["exec"]["command"]
    code = arguments[-1].replace(":8090/", f":{port}/").replace("sleep(1.5)", "sleep(0.01)")

    probed = subprocess.run([sys.executable, *arguments[:-1], code], check=False, timeout=60)

    assert program == "python"
    assert (probed.returncode == 0) is alive
