"""`lineside-app` alone, in a process of its own, as a client over the network sees it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from running import free_port

import edge_app
from edge_app.models import ModelStore

START_S = 60.0
PATIENT = {"X-Deadline-Ms": "10000"}
"""For what is not about time: an answer is the same on however busy a machine."""


class LoneApp:
    """A running app.

    Args:
        data_dir: Its data directory.
        settings: Further settings by their variables, `LINESIDE_APP__...`.
    """

    def __init__(self, data_dir: Path, settings: Mapping[str, object]) -> None:
        self.port = free_port()
        self.log_path = data_dir / "app.log"
        told = {"LINESIDE_DATA__DIR": str(data_dir), "LINESIDE_APP__PORT": self.port, **settings}
        environ = os.environ | {name: json.dumps(value) for name, value in told.items()}
        with self.log_path.open("ab") as log:
            command = [sys.executable, "-m", "edge_app"]
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        within_s: float = 120.0,
    ) -> tuple[int, Any]:
        """Status and document of one request, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within_s)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            reply = connection.getresponse()
            content = reply.read()
            return reply.status, json.loads(content) if content else None
        finally:
            connection.close()

    def predict(self, content: bytes, model: str = "", kind: str = "image/jpeg") -> dict[str, Any]:
        """The answer to a picture; fails unless there is one."""
        path = f"/predict/{model}" if model else "/predict"
        status, document = self.ask("POST", path, content, {"Content-Type": kind, **PATIENT})
        assert status == 200, document
        answer: dict[str, Any] = document
        return answer

    @property
    def log(self) -> str:
        """All it has said so far."""
        return self.log_path.read_text()

    def peak_mb(self) -> float:
        """The most memory it had at once since the last `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6

    def forget_peak(self) -> None:
        """Let `peak_mb` begin anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cpu_s(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait(self) -> None:
        """Wait until it answers."""
        ends_at = time.monotonic() + START_S
        while time.monotonic() < ends_at:
            assert self.process.poll() is None, self.log
            try:
                self.ask("GET", "/health")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"the app did not start: {self.log}")


@contextmanager
def lone_app(data_dir: Path, **settings: object) -> Iterator[LoneApp]:
    """A running app, stopped at the end whatever happens; everybody may do everything.

    Args:
        data_dir: Its data directory; made.
        settings: Further settings, `inference__runtime="litert"` for example.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    told = {"app__open_access": "all", **settings}
    app = LoneApp(data_dir, {f"LINESIDE_{name.upper()}": value for name, value in told.items()})
    try:
        app.wait()
        yield app
    finally:
        app.process.terminate()
        app.process.wait(20)


@contextmanager
def demo_app() -> Iterator[LoneApp]:
    """A running app with the demo's model, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        store = ModelStore(Path(folder) / "models")
        version = store.add(Path(edge_app.__file__).parent / "demo" / "model.tflite")
        store.activate(version.name, version.version, measure=False)
        with lone_app(Path(folder)) as app:
            yield app
