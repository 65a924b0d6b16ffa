"""What stands in `deploy/` fits the app: metrics exist, rules parse, the proxy works."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from device import Device, picture
from running import free_port, running

import edge_app
from edge_app.config import AppSettings
from edge_app.web.server import Server

DEPLOY = Path(__file__).parents[2] / "deploy"
METRIC = re.compile(r"\blineside_[a-z0-9_]+")
RULES = DEPLOY / "prometheus" / "lineside.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "lineside.json"
CERTIFICATE = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1")
NGINX = DEPLOY / "nginx" / "lineside.conf"


def told(device: Device) -> set[str]:
    """Names of all series that the app can tell."""
    device.client.post("/predict", data=picture())
    text = device.client.get("/metrics").text
    names = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    histograms = {name for name in names if f"# TYPE {name} histogram" in text}
    counters = {name for name in names if f"# TYPE {name} counter" in text}
    return names | {f"{name}_bucket" for name in histograms} | {f"{n}_total" for n in counters}


@pytest.mark.parametrize("path", [RULES, DASHBOARD])
def test_every_metric_that_is_asked_for_exists(data_dir: Path, path: Path) -> None:
    """Neither a rule nor a panel waits for a name that nobody tells."""
    device = Device(data_dir, cameras=("cam1",)).start()
    device.install()
    optional = {
        "lineside_temperature_celsius",
        "lineside_throttled",
        "lineside_under_voltage",
        "lineside_clock_synchronised",
        "lineside_card_years",
    }

    wanted = set(METRIC.findall(path.read_text()))

    assert wanted - told(device) - optional == set()
    device.stop()


def test_the_dashboard_is_a_dashboard() -> None:
    """JSON, each panel with a query and a place of its own."""
    dashboard = json.loads(DASHBOARD.read_text())

    assert dashboard["title"] == "Lineside"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
@pytest.mark.parametrize("what", ["rules", "config"])
def test_promtool_takes_our_files(what: str) -> None:
    """Rules and scrape configuration parse."""
    path = RULES if what == "rules" else DEPLOY / "prometheus" / "prometheus.yml"

    checked = subprocess.run(
        ["promtool", "check", what, str(path)], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture
def proxied(device: Device, tmp_path: Path) -> Iterator[int]:
    """Nginx with TLS in front of the app; its port."""
    settings = replace(AppSettings(), port=0, trusted_proxy="127.0.0.1")
    server = Server(device.app, settings, [])
    server.start()
    with nginx_before(server.port, tmp_path) as port:
        yield port
    server.stop(within_s=0.3)


@contextmanager
def nginx_before(app_port: int, folder: Path) -> Iterator[int]:
    """Nginx with TLS, as deploy/ has it, in front of that port; its own port."""
    port = free_port()
    subprocess.run(
        [*CERTIFICATE, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    ours = NGINX.read_text().split("server {\n    listen 80;")[0]
    ours = ours.replace("127.0.0.1:8080", f"127.0.0.1:{app_port}")
    ours = ours.replace("listen 443", f"listen 127.0.0.1:{port}")
    ours = ours.replace("    listen [::]:443 ssl;\n", "").replace("/etc/lineside/tls", str(folder))
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/body;\n"
        f"proxy_temp_path {folder}/proxy; {ours} }}\n"
    )
    nginx = subprocess.Popen(["nginx", "-e", "error.log", "-p", str(folder), "-c", "nginx.conf"])
    try:
        yield port
    finally:
        nginx.terminate()
        nginx.wait(10)


def through(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Ask through the proxy, waiting for it to be up."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    ends_at = time.monotonic() + 10
    while True:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
        try:
            connection.request(method, path, body, {"X-Deadline-Ms": "5000"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        except ConnectionRefusedError:
            assert time.monotonic() < ends_at, "nginx did not start"
            time.sleep(0.05)
        finally:
            connection.close()


@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_nginx_with_tls_in_front(proxied: int) -> None:
    """Upload, page and export work through it; what is too large is refused there."""
    status, body = through(proxied, "POST", "/predict", picture())

    assert (status, json.loads(body)["verdict"]) == (200, "OK")
    assert through(proxied, "GET", "/")[0] == 200
    assert through(proxied, "GET", "/api/v1/export.csv")[1].startswith(b"id,captured_at")
    assert through(proxied, "POST", "/predict", b"x" * 18_000_000)[0] == 413


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_a_running_device_behind_nginx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page, a photograph of the demo, and the line's picture, which moves on."""
    monkeypatch.setenv("LINESIDE_APP__TRUSTED_PROXY", "127.0.0.1")
    photo = min((Path(edge_app.__file__).parent / "demo" / "parts").glob("*.jpg")).read_bytes()
    (tmp_path / "nginx").mkdir()
    with running(tmp_path / "data") as up, nginx_before(up.port, tmp_path / "nginx") as port:
        up.wait_for(lambda: up.line()["up"] and json.loads(up.get("/health"))["model_loaded"])
        status, upload = through(port, "POST", "/predict", photo)
        page = through(port, "GET", "/")
        live = "/api/v1/cameras/cam1/live.jpg"
        first = through(port, "GET", live)[1]
        up.wait_for(lambda: through(port, "GET", live)[1] != first)

    assert (status, json.loads(upload)["model"]) == (200, "flange/1")
    assert page[0] == 200
    assert b"<html" in page[1]
    assert cv2.imdecode(np.frombuffer(first, np.uint8), cv2.IMREAD_COLOR).shape[2] == 3


def test_any_wsgi_server_gets_the_whole_app(data_dir: Path) -> None:
    """`edge_app.wsgi:application()` is warm and answers."""
    code = (
        "from edge_app.wsgi import application\n"
        "reply = application().test_client().get('/health')\n"
        "print(reply.status_code, reply.get_json()['model_loaded'])"
    )
    environ: dict[str, Any] = os.environ | {"LINESIDE_DATA__DIR": json.dumps(str(data_dir))}

    told_us = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )

    assert told_us.stdout.split() == ["503", "False"]
