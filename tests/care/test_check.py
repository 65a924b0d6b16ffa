"""`lineside check` tells a technician what is wrong, and what to do about it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from running import Command, free_port, running

from edge_app.care.place import INSTALLED
from edge_app.jobs import Job, JobStore


def found(said: str) -> dict[str, tuple[str, str]]:
    """State and text of each finding, by what it is about."""
    return {e["about"]: (e["state"], e["text"]) for e in json.loads(said)["findings"]}


def test_a_running_line_is_well_and_not_disturbed(tmp_path: Path, lineside: Command) -> None:
    """On a device at work all its own is ok, and no trigger was missed by the looking."""
    with running(tmp_path / "data") as up:
        up.wait_for(lambda: up.line()["up"] and up.line()["status"]["ready"])
        ports = {
            "LINESIDE_APP__PORT": str(up.port),
            "LINESIDE_CAMERAS__CAM1__PLC_PORT": str(up.plc_port),
        }
        done = lineside("check", "--json", "--data", up.data_dir, **ports)
        missed = up.line()["status"]["shift"]["missed"]
    states = found(done.stdout)

    ours = ("settings", "camera cam1", "line cam1", "jobs", "model flange")
    for about in (*ours, f"port {up.port}", f"port {up.plc_port}", "disk", "permissions"):
        assert states[about][0] == "ok", states[about]
    assert missed == 0


def test_what_is_broken_is_named(data: Path, lineside: Command) -> None:
    """A camera that is absent, a job that is missing, a damaged model, a port that is taken."""
    JobStore(data / "jobs").save(Job(number=2, name="Flange", model="absent"))
    model = data / "models" / "flange" / "1.tflite"
    model.write_bytes(model.read_bytes()[:-100])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (data / "lineside.toml").write_text(
            f"[app]\nport = {free_port()}\n"
            '[cameras.cam1]\nsource = "v4l2:/dev/nothing"\n'
            f'preload = "2"\nplc_port = {port}\n'
            '[cameras.cam2]\nsource = "pattern:"\njob = 7\nplc = "off"\n'
        )
        done = lineside("check", "--json", "--data", data)
    states = found(done.stdout)

    assert done.returncode == 1
    faults = {about: text for about, (state, text) in states.items() if state == "fault"}
    assert set(faults) == {"camera cam1", "job 7", "model absent", "model flange", f"port {port}"}
    assert "/dev/nothing" in faults["camera cam1"]
    assert "cam2" in faults["job 7"]
    assert states["camera cam2"] == (
        "warning",
        "gave a picture of 640x480, but its line does not run",
    )


def test_a_wrong_setting_is_named_with_its_line(tmp_path: Path, lineside: Command) -> None:
    """Bad settings are one fault that says file, line and key, and status 1."""
    path = tmp_path / "mine.toml"
    path.write_text("[app]\nport = 8080\nprt = 1\n")

    done = lineside("check", "--config", path)

    assert done.returncode == 1
    assert done.stdout.startswith("fault ")
    assert "mine.toml, line 3: unknown setting 'prt'" in done.stdout


@pytest.mark.skipif(INSTALLED.exists(), reason="a device is set up here")
def test_where_nothing_is_installed_it_says_how(lineside: Command) -> None:
    """Before any installation, the command says what to run."""
    done = lineside("check")

    assert done.returncode == 1
    assert "scripts/install" in done.stdout


def test_open_files_are_warned_of_without_telling(data: Path, lineside: Command) -> None:
    """Logins that others can read and a password in open settings are named, not shown."""
    (data / "access.json").write_text("{}")
    (data / "access.json").chmod(0o644)
    settings = data / "lineside.toml"
    port = free_port()
    settings.write_text(
        f'[cameras.cam1]\nsource = "rtsp://eve:s3cret@127.0.0.1:{port}/"\nplc = "off"\n'
    )
    settings.chmod(0o644)

    done = lineside("check", "--data", data)

    assert "access.json: others may read it (0644)" in done.stdout
    assert "a camera's password stands in it for all to read" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr
