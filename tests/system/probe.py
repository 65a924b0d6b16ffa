"""Asks the device: its units, its journal, its line and its app. Standard library only."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCE = Path("/src")
WHEELS = Path("/wheels")
INSTALL = str(SOURCE / "scripts/install")
APP = "lineside-app.service"
LINE = "lineside-camera@cam1.service"
DATA = Path("/var/lib/lineside")
SETTINGS = Path("/etc/lineside/lineside.toml")

SLOWNESS = float(os.environ.get("SLOWNESS", "1"))
"""How many times longer everything may take than on a machine with nothing else to do."""

RECORD_BYTES = 58
OK = 1
BACK_WITHIN_S = 5.0 * SLOWNESS
STOPPED_WITHIN_S = 2.0
EXPOSURE = {APP: 2.0, LINE: 2.5}


def run(*command: str, check: bool = True, within_s: float = 180 * SLOWNESS) -> str:
    """What the command printed; stderr comes along."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert not check or done.returncode == 0, (
        f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}"
    )
    return done.stdout


def shown(unit: str, name: str) -> str:
    """One property of a unit."""
    return run("systemctl", "show", "--value", "-p", name, unit).strip()


def main_pid(unit: str) -> int:
    """The process that systemd watches."""
    return int(shown(unit, "MainPID"))


def journal(*match: str) -> list[dict[str, str]]:
    """This boot's entries."""
    run("journalctl", "--sync")
    lines = run("journalctl", "-b", "-o", "json", "--all", "--no-pager", *match).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def trigger(number: int = 0, within_s: float = 1.0 * SLOWNESS) -> list[int]:
    """Ask the line for a verdict as a PLC does; the record's numbers."""
    line = http.client.HTTPConnection("127.0.0.1", 8090, timeout=within_s)
    try:
        line.request("GET", f"/plc/trigger?n={number}")
        answer = line.getresponse()
        body = answer.read()
    finally:
        line.close()
    assert (answer.status, len(body)) == (200, RECORD_BYTES), (answer.status, body)
    return [int(column) for column in body.decode("ascii").strip().split(",")]


def decision(record: list[int]) -> int:
    """OK, NG, REVIEW or none."""
    return record[3]


def inspection_id(record: list[int]) -> int:
    """The record's id."""
    return record[2]


def answers() -> bool:
    """Whether the line decides on a part."""
    try:
        return decision(trigger()) in (1, 2, 3)
    except (OSError, http.client.HTTPException):
        return False


def until(true: Callable[[], bool], within_s: float) -> float:
    """Wait for it; the seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within_s, f"not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def never_ok_without_a_line() -> Iterator[list[int]]:
    """Ask for verdicts all the while; yields the list of decisions that came."""
    decisions: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                decisions.append(decision(trigger(within_s=0.3)))
            except (OSError, http.client.HTTPException):
                decisions.append(0)
            time.sleep(0.01)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield decisions
    finally:
        done.set()
        asking.join()


def settle() -> None:
    """Let the line run for a moment, so that the next fall finds it at work."""
    until(answers, BACK_WITHIN_S)
    time.sleep(0.5)


def line_status() -> dict[str, Any]:
    """What the line says of itself on its control socket."""
    socket = "/run/lineside/cam1.sock"
    said = run("curl", "-fsS", "--unix-socket", socket, "http://line/status")
    status: dict[str, Any] = json.loads(said)
    return status


@contextmanager
def drop_in(unit: str, text: str) -> Iterator[None]:
    """The unit with further settings, until the block ends; restarting is the caller's."""
    folder = Path("/etc/systemd/system") / f"{unit}.d"
    folder.mkdir(exist_ok=True)
    (folder / "50-test.conf").write_text(text, encoding="utf-8")
    run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        (folder / "50-test.conf").unlink()
        run("systemctl", "daemon-reload")


def current() -> Path:
    """The release that runs."""
    return Path("/opt/lineside/current").resolve()
