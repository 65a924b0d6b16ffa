"""A line as a program of its own, on a drawn pattern."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from camera.plc.record import PlcRecord
from edge_app.inference.bundle import ModelBundle, ModelSpec, write_bundle
from edge_app.inference.interpreter import Interpreter, installed_runtimes
from edge_app.inference.judge import Limits
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "edge_app" / "demo" / "model.tflite"
CIFAR = ROOT.parent / "shared" / "data" / "cifar10" / "authors_int8.tflite"


def make_model(folder: Path) -> Path:
    """The demo's model; where it is not there, another real one."""
    if DEMO.exists():
        return DEMO
    if not CIFAR.exists():
        pytest.skip("neither the demo model nor ../shared/data is there")
    content = CIFAR.read_bytes()
    interpreter = Interpreter(content, next(iter(installed_runtimes())))
    labels = tuple(f"class{i}" for i in range(10))
    spec = ModelSpec(
        "cifar",
        Task("classification", labels),
        interpreter.inputs,
        interpreter.outputs,
        Contract(mean=(0.0,), std=(1.0,)),
        Limits(good=labels[:1]),
    )
    write_bundle(folder / "model.tflite", ModelBundle(content, spec))
    return folder / "model.tflite"


class Program:
    """A `lineside-camera` process on a drawn pattern."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.config = folder / "lineside.toml"
        self.sockets = folder / "run"
        self.config.write_text(
            f'[data]\ndir = "{self.data}"\nsocket_dir = "{self.sockets}"\n'
            f'[cameras.cam1]\nsource = "pattern:"\n'
            f"plc_port = {self.port}\ndeadline_ms = 2000\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str] | None = None) -> None:
        """Start it, and wait until its first job is there."""
        plain = [sys.executable, "-m", "camera", "cam1", "--config", str(self.config)]
        self.process = subprocess.Popen(
            command or plain,
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                if self.ask("/plc/status").status & 1:
                    return
            except OSError:
                assert self.process.poll() is None, "it ended by itself"
            time.sleep(0.02)
        pytest.fail("it never became ready")

    def ask(self, target: str) -> PlcRecord:
        """One PLC call."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", target)
            return PlcRecord.from_line(connection.getresponse().read())
        finally:
            connection.close()

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(10)
