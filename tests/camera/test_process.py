"""The line as a program of its own: started, killed, started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from line_program import ROOT, Program, make_model

from camera.plc.record import PlcDecision
from edge_app.jobs import Job, JobStore
from edge_app.models import ModelStore
from edge_app.records.database import Database


@pytest.fixture(scope="module", name="model")
def model_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that a runtime here can run."""
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A data directory with a model and a job: activating measures, so it is done once."""
    data = tmp_path_factory.mktemp("stocked")
    store = ModelStore(data / "models")
    version = store.add(model)
    store.activate(version.name, version.version, measure=False)
    JobStore(data / "jobs").save(Job(1, "Parts", version.name))
    return data


@pytest.fixture
def program(tmp_path: Path, stocked: Path) -> Iterator[Program]:
    """A program with a model and a job; killed afterwards."""
    program = Program(tmp_path)
    shutil.copytree(stocked, program.data, symlinks=True)
    yield program
    if program.process is not None and program.process.poll() is None:
        program.end(signal.SIGKILL)


def rows(program: Program) -> dict[int, str]:
    """Ids and decisions on disk."""
    database = Database(program.data / "records.db")
    try:
        return {row.id: str(row.decision) for row in database.inspections(limit=500)}
    finally:
        database.close()


@pytest.mark.failsafe(
    "SIGKILL, power",
    "no connection: the PLC's own timer rejects; afterwards old numbers are unknown (decision 0)",
    "at once",
    "what was committed; no id twice; counters exact",
    "restarted by its service, ready in seconds",
)
def test_a_killed_line_invents_nothing(program: Program) -> None:
    """SIGKILL three times: no id twice, no decision but those given, counts exact."""
    answers: dict[int, str] = {}
    for round_number in range(3):
        program.start()
        for n in range(1, 8):
            record = program.ask(f"/plc/trigger?n={round_number * 100 + n}")
            assert record.id not in answers
            answers[record.id] = record.decision.name
        assert program.process is not None
        os.kill(program.process.pid, signal.SIGKILL)
        program.process.wait(10)
        with pytest.raises(ConnectionError):
            program.ask("/plc/status")

    program.start()
    record = program.ask("/plc/result?n=207")
    assert record.decision is PlcDecision.NOT_YET
    on_disk = rows(program)
    for inspection_id, decision in on_disk.items():
        assert answers.get(inspection_id, decision) == decision
    # An answer waits for its record only as long as the deadline allows; all but the
    # very last of each life must be there.
    assert len(answers.keys() - on_disk.keys()) <= 3
    program.end(signal.SIGTERM)
    database = Database(program.data / "records.db")
    try:
        assert database.counters("cam1", "life").total == len(on_disk)
    finally:
        database.close()


def test_sigterm_ends_it_within_two_seconds(program: Program) -> None:
    """It leaves with status 0 and takes its socket along; the slack is for a busy machine."""
    program.start()
    began = time.monotonic()

    assert program.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 4
    assert not (program.sockets / "cam1.sock").exists()


def test_two_lines_on_one_camera_are_refused(program: Program) -> None:
    """The second program says so in one sentence and leaves."""
    program.start()
    second = subprocess.run(
        [sys.executable, "-m", "camera", "cam1", "--config", str(program.config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert second.returncode == 1
    assert "another lineside-camera runs" in second.stderr


def test_a_taken_port_is_one_sentence(program: Program) -> None:
    """The program says which address, and leaves nothing behind."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", program.port))
        other.listen()
        done = subprocess.run(
            [sys.executable, "-m", "camera", "cam1", "--config", str(program.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (program.sockets / "cam1.sock").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('source = "telescope:"', "telescope"),
        ('roi = "1,2,3"', "roi"),
        ('preload = "1,x"', "preload"),
        ('plc_allow = "somewhere"', "plc_allow"),
    ],
)
def test_wrong_settings_are_one_sentence(tmp_path: Path, setting: str, said: str) -> None:
    """Status 78 and a sentence that names the setting."""
    config = tmp_path / "lineside.toml"
    config.write_text(f'[data]\ndir = "{tmp_path}"\n[cameras.cam1]\n{setting}\n')
    done = subprocess.run(
        [sys.executable, "-m", "camera", "cam1", "--config", str(config), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 78
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def mounted(program: Program, *, size: str, read_only: bool) -> list[str]:
    """The program in a mount namespace of its own, its data on a small memory disk."""
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("mount namespaces are not allowed here")
    data = program.data
    script = (
        f"cp -a {data} {data}.copy && mount -t tmpfs -o size={size} tmpfs {data} && "
        f"cp -a {data}.copy/. {data} && "
        + (
            f"mount -o remount,ro {data} && "
            if read_only
            else f"(cat /dev/zero > {data}/fill; :) && "
        )
        + f"exec {sys.executable} -m camera cam1 --config {program.config}"
    )
    return ["unshare", "-rm", "sh", "-c", script]


@pytest.mark.failsafe(
    "disk full, or read-only",
    "the decision, with code 50; Warning bit",
    "a tenth of the deadline longer",
    "kept in memory and written when the disk is back; ids from the upper half of 32 bits",
    "by itself",
)
@pytest.mark.parametrize("read_only", [False, True], ids=["full", "read-only"])
def test_a_disk_that_takes_nothing_stops_nothing(program: Program, read_only: bool) -> None:
    """Started on a full or read-only disk, the line inspects all the same, and says so."""
    program.start(mounted(program, size="24m", read_only=read_only))
    records = [program.ask(f"/plc/trigger?n={n}") for n in range(1, 5)]

    assert len({record.id for record in records}) == 4
    assert {record.code for record in records} == {50}
    assert {record.decision for record in records} <= {
        PlcDecision.OK,
        PlcDecision.NG,
        PlcDecision.REVIEW,
    }
