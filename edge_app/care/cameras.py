"""Checks of the cameras and of the ports by which others reach the device."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from edge_app.care.device import Device
from edge_app.care.finding import Finding, fault, ok, warning
from edge_app.port import port_refused

TRY_S = 30.0
"""A camera in a process of its own has fifteen seconds to open, and needs some to start."""

ASK_S = 3.0
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


def cameras(device: Device) -> Iterator[Finding]:
    """Can each camera be seen through? A running line is asked and left alone."""
    if not device.settings.cameras:
        yield fault("cameras", "the settings name none", "add a table [cameras.cam1] to them")
    for name in device.settings.cameras:
        if name in device.lines:
            yield from _running(name, device.lines[name])
        else:
            yield _tried(name, device)


def _running(name: str, status: Any) -> Iterator[Finding]:
    source, about = status["source"], f"camera {name}"
    if source["state"] == "live":
        age = source["age_ms"]
        newest = "" if age is None else f", the newest {age:.0f} ms ago"
        yield ok(about, f"live, {source['frames']} frames{newest}")
    elif source["state"] == "starting":
        yield warning(about, "is being opened", "check again in a few seconds")
    else:
        text = f"{source['state']} for {source['since_s']:.0f} s: {source['reason']}"
        yield fault(about, text, "look at cable, power and address; the line tries on by itself")
    closed, about = status["closed"], f"line {name}"
    if closed:
        yield fault(about, f"judges no part: {closed['reason']}", "see docs/troubleshooting.md")
    elif status["records"]["failing"]:
        text = f"judges, but keeps no records: {status['records']['failing']}"
        yield fault(about, text, "see `When the power goes` in docs/operation.md")
    else:
        yield ok(about, f"ready with job {status['job']} and model {status['model']}")


def _tried(name: str, device: Device) -> Finding:
    """Have the line's own program take one picture, in a process that can be killed."""
    about = f"camera {name}"
    # -P: what lies in the folder where somebody calls this is no program of ours.
    command = [sys.executable, "-P", "-m", "camera", name, "--try"]
    settings = device.settings
    environ = os.environ | {
        "LINESIDE_DATA__DIR": json.dumps(str(settings.data_dir.resolve())),
        "LINESIDE_DATA__SOCKET_DIR": json.dumps(str(settings.socket_dir.resolve())),
    }
    if device.config is not None:
        command += ["--config", str(device.config)]
    try:
        done = subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TRY_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return fault(about, f"gave nothing within {TRY_S:.0f} s", "look at cable and power")
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    text = said[-1].removeprefix("lineside-camera: ") if said else f"status {done.returncode}"
    if done.returncode != 0:
        return fault(about, text, "look at cable, power, address and [cameras." + name + "]")
    todo = f"start it: systemctl start lineside-camera@{name}, or lineside up"
    return warning(about, f"{text}, but its line does not run", todo)


def ports(device: Device) -> Iterator[Finding]:
    """Is each port ours, or free for us?"""
    app = device.settings.app
    yield _app_port(app.host, app.port)
    for name, camera in device.settings.cameras.items():
        wanted = [("PLC", camera.plc, camera.plc_host, camera.plc_port)]
        wanted += [("Modbus", camera.modbus, camera.modbus_host, camera.modbus_port)]
        for kind, mode, host, port in wanted:
            if mode == "off":
                continue
            about = f"port {port}"
            if name in device.lines:
                yield ok(about, f"{kind} of line {name}, {mode}")
            else:
                yield _free(about, host, port, f"{kind} of line {name}")


def _app_port(host: str, port: int) -> Finding:
    about = f"port {port}"
    health = _health(ANYWHERE.get(host, host), port)
    if health is None:
        return _free(about, host, port, "the app")
    if health.get("status") == "ok":
        return ok(about, f"the app answers and judges with {health.get('model')}")
    reasons = [str(health.get("reason") or "")]
    reasons += [f"line {name} is down" for name in health.get("lines_down", ())]
    if health.get("records", "ok") != "ok":
        reasons.append(f"records: {health['records']}")
    text = f"the app is degraded: {'; '.join(filter(None, reasons)) or 'no model is loaded'}"
    return warning(about, text, "see the page's System view")


def _health(host: str, port: int) -> dict[str, Any] | None:
    """What our app says on a port; None if it is not ours, or nobody is there."""
    connection = http.client.HTTPConnection(host, port, timeout=ASK_S)
    try:
        connection.request("GET", "/health")
        document = json.loads(connection.getresponse().read(65_536))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return document if isinstance(document, dict) and "model_loaded" in document else None


def _free(about: str, host: str, port: int, who: str) -> Finding:
    if reason := port_refused(host, port):
        todo = f"ss -ltnp 'sport = :{port}' names who has it; or choose another in the settings"
        return fault(about, f"{who} can't have it: {reason}", todo)
    return warning(about, f"free for {who}, which does not run", "start it")
