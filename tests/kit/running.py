"""A whole `lineside up` in processes of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from camera.plc.record import PlcRecord
from edge_app.inference.judge import Code

START_S = 30.0

Command = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs a `lineside` command; words, and environment as keywords."""


def free_port() -> int:
    """A port that nobody uses at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A started `lineside up`."""

    def __init__(self, data_dir: Path, *flags: str) -> None:
        self.data_dir = data_dir
        self.port, self.plc_port = free_port(), free_port()
        command = [sys.executable, "-u", "-m", "edge_app.cli", "up", "--data", str(data_dir)]
        command += ["--port", str(self.port), "--plc-port", str(self.plc_port), *flags]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def get(self, path: str, *, plc: bool = False) -> bytes:
        """The body of a GET at the app, or at the PLC port."""
        port = self.plc_port if plc else self.port
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return bytes(reply.read())

    def fire(self, query: str) -> PlcRecord:
        """The record of a trigger that was taken; the demo's own parts may be in its way."""
        until = time.monotonic() + START_S
        while True:
            record = PlcRecord.from_line(self.get(f"/plc/trigger?{query}", plc=True))
            if record.code != Code.BUSY or time.monotonic() > until:
                return record

    def status(self) -> dict[str, Any]:
        """What the app says of everything."""
        document: dict[str, Any] = json.loads(self.get("/api/v1/status"))
        return document

    def line(self) -> dict[str, Any]:
        """What the app says of the line."""
        document: dict[str, Any] = self.status()["lines"]["cam1"]
        return document

    def wait_for(self, fact: Callable[[], bool]) -> None:
        """Wait until something is so."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            try:
                if fact():
                    return
            except OSError:
                pass  # not up yet, or just being started again
            time.sleep(0.05)
        raise AssertionError(f"it did not happen within {START_S:.0f} s")

    def pid_of(self, name: str) -> int:
        """The process id of the line `name`."""
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"camera" in words and name.encode() in words:
                config = str(self.data_dir / "lineside.toml").encode()
                if config in words:
                    return int(entry.parent.name)
        raise AssertionError(f"no process of line {name}")


@contextmanager
def running(data_dir: Path, *flags: str) -> Iterator[Running]:
    """`lineside up`, stopped at the end whatever happens."""
    up = Running(data_dir, *flags)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.process.terminate()
        up.process.wait(10)
        if up.process.stdout is not None:
            up.process.stdout.close()
