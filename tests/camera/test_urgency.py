"""Real-time priority: who gets it, who does not, and what happens where there is none."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from line_program import ROOT, Program, make_model

from camera.urgency import BACKGROUND, PRIORITY
from edge_app.jobs import Job, JobStore
from edge_app.models import ModelStore

WITHOUT_RIGHT = ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]


def allowed() -> bool:
    """Whether who runs the tests may give real-time priority at all."""
    done = subprocess.run(["chrt", "-r", str(PRIORITY), "true"], check=False, capture_output=True)
    return done.returncode == 0


needs_right = pytest.mark.skipif(not allowed(), reason="needs the right to real-time priority")


@pytest.fixture
def program(tmp_path: Path) -> Any:
    """A line with a model and a job; ended afterwards."""
    program = Program(tmp_path)
    store = ModelStore(program.data / "models")
    version = store.add(make_model(tmp_path))
    store.activate(version.name, version.version, measure=False)
    JobStore(program.data / "jobs").save(Job(1, "Parts", version.name))
    yield program
    if program.process is not None and program.process.poll() is None:
        program.process.kill()
        program.process.wait(10)


def status(program: Program) -> dict[str, Any]:
    """What the line says of itself to the app."""
    connection = http.client.HTTPConnection("line")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(program.sockets / "cam1.sock"))
    connection.request("GET", "/status")
    said: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return said


def policies(pid: int) -> dict[int, int]:
    """How the kernel schedules each thread of a process."""
    found = {}
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):  # noqa: PTH208 - names alone
        # A connection's thread may have ended since it was listed.
        with contextlib.suppress(ProcessLookupError):
            found[thread] = os.sched_getscheduler(thread)
    return found


@needs_right
def test_all_a_part_waits_for_goes_first(program: Program) -> None:
    """Every thread but those in the background has real-time priority; the status says so."""
    program.start()
    assert program.process is not None
    assert program.ask("/plc/trigger?n=1").n == 1

    found = policies(program.process.pid)

    assert found[program.process.pid] == os.SCHED_RR
    assert os.sched_getparam(program.process.pid).sched_priority == PRIORITY
    assert list(found.values()).count(os.SCHED_OTHER) == len(BACKGROUND)
    assert status(program)["realtime"] is True


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_without_the_right_it_goes_on(program: Program) -> None:
    """A container may not: parts are judged all the same, and the status says why it is slower."""
    line = [sys.executable, "-m", "camera", "cam1", "--config", str(program.config)]
    program.start([*WITHOUT_RIGHT, *line])
    assert program.process is not None

    assert program.ask("/plc/trigger?n=1").decision.name in ("OK", "NG", "REVIEW")
    assert set(policies(program.process.pid).values()) == {os.SCHED_OTHER}
    said = status(program)
    assert said["realtime"] is False
    assert "no real-time priority" in said["realtime_refused"]


@pytest.mark.parametrize(
    ("setting", "why"),
    [("realtime = false", "realtime = false"), ("free_run_hz = 5", "fires itself")],
)
def test_it_is_not_asked_for(program: Program, setting: str, why: str) -> None:
    """Neither where the settings say so, nor by a line that fires itself."""
    with program.config.open("a") as file:
        file.write(f"{setting}\n")
    program.start()
    assert program.process is not None

    assert set(policies(program.process.pid).values()) == {os.SCHED_OTHER}
    assert why in status(program)["realtime_refused"]


@needs_right
def test_a_camera_s_process_stays_ordinary() -> None:
    """A thread in real time starts a program that is not, and is in real time afterwards."""
    script = (
        "import os, subprocess, sys\n"
        "from camera.urgency import ordinary\n"
        "os.setpriority(os.PRIO_PROCESS, 0, 7)\n"
        "os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))\n"
        "ask = 'import os; print(os.sched_getscheduler(0), os.nice(0))'\n"
        "with ordinary():\n"
        "    said = subprocess.check_output([sys.executable, '-c', ask], text=True)\n"
        "print(said.strip(), os.sched_getscheduler(0))\n"
    )

    said = subprocess.check_output([sys.executable, "-c", script], text=True, cwd=ROOT)

    assert said.split() == [str(os.SCHED_OTHER), "7", str(os.SCHED_RR)]
