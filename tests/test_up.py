"""One command runs the whole product: these tests run that command."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from running import running

from camera.plc.record import PlcDecision
from edge_app.records.database import Database

STOP_S = 2.0


def test_every_part_of_the_demo_line_gets_an_answer(tmp_path: Path) -> None:
    """With --seconds it stops by itself, says how many parts it saw, and status 0 means all."""
    with running(tmp_path / "data", "--seconds", "4") as up:
        output, _ = up.process.communicate(timeout=60)

    assert up.process.returncode == 0, output
    found = re.search(r"(\d+) parts inspected: (\d+) OK, (\d+) NG, (\d+) REVIEW", output)
    assert found is not None, output
    total, *verdicts = map(int, found.groups())
    assert total >= 5
    assert total == sum(verdicts)


def test_a_part_goes_the_whole_way(tmp_path: Path) -> None:
    """PLC, upload, page and records tell the same story."""
    photo = Path(__file__).parents[1] / "edge_app" / "demo" / "parts"
    with running(tmp_path / "data") as up:
        up.wait_for(lambda: up.line()["up"])
        record = up.fire("n=17&part=AB12")
        shown = json.loads(up.get(f"/api/v1/inspections/{record.id}"))
        request = urllib.request.Request(
            f"http://127.0.0.1:{up.port}/predict",
            data=min(photo.glob("*.jpg")).read_bytes(),
            headers={"Content-Type": "image/jpeg"},
        )
        with urllib.request.urlopen(request, timeout=5) as reply:  # noqa: S310 - our own
            upload = json.load(reply)
        page = up.get("/").decode()
        live = up.get("/api/v1/cameras/cam1/live.jpg")

    assert record.n == 17
    assert record.decision in (PlcDecision.OK, PlcDecision.NG, PlcDecision.REVIEW)
    assert shown["part"] == "AB12"
    assert PlcDecision[shown["verdict"]] == record.decision
    assert upload["verdict"] in ("OK", "NG", "REVIEW")
    assert upload["predicted_class"] in upload["class_scores"]
    assert "<html" in page
    assert live.startswith(b"\xff\xd8")


def test_a_killed_line_comes_back_and_invents_nothing(tmp_path: Path) -> None:
    """After SIGKILL the line is back, the app said so, ids go on, answers match records."""
    with running(tmp_path / "data") as up:
        up.wait_for(lambda: up.line()["up"])
        before = up.fire("n=1")
        os.kill(up.pid_of("cam1"), signal.SIGKILL)
        up.wait_for(lambda: not up.line()["up"])
        up.wait_for(lambda: up.line()["up"] and up.line()["status"]["ready"])
        after = up.fire("n=1")

    assert before.id < after.id
    database = Database(tmp_path / "data" / "records.db")
    rows = database.inspections(limit=500)
    database.close()
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        if row.decision == "OK":
            assert row.scores["good"] >= 0.5
            assert row.code == 0


def test_it_stops_within_two_seconds(tmp_path: Path) -> None:
    """SIGTERM ends everything within two seconds, with status 0 and no process left."""
    with running(tmp_path / "data") as up:
        up.wait_for(lambda: up.line()["up"])
        line = up.pid_of("cam1")
        began = time.monotonic()
        up.process.send_signal(signal.SIGTERM)
        status = up.process.wait(10)
        took_s = time.monotonic() - began

    assert status == 0
    assert took_s < STOP_S
    assert not Path(f"/proc/{line}").exists()


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    """A port that somebody else has is named in one sentence, with status 1."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "edge_app.cli",
                "up",
                "--data",
                str(tmp_path / "data"),
                "--port",
                str(port),
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert done.returncode == 1
    assert str(port) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
