"""Where a bench works: its folder, its baselines' environment, its model and its pictures."""

from __future__ import annotations

import atexit
import compileall
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.processes import Running, start_until_ready
from edge_app.inference.durable import write_durably
from edge_app.inference.guess import Told
from edge_app.inference.tune import tune
from edge_app.jobs import Job, JobStore
from edge_app.models import ModelStore, ModelVersion

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ROOT / "scripts"
DEMO_MODEL = ROOT / "edge_app" / "demo" / "model.tflite"

BASELINE_PACKAGES = (
    "tensorflow==2.21.0",
    "flask>=3.1,<3.2",
    "gunicorn",
    "fastapi",
    "uvicorn",
    "python-multipart",
    "pillow",
    "ai-edge-litert>=2.3",
    # The converter's own, so that it can be measured in the same environment.
    "tflite-runtime==2.14.0; python_version < '3.12'",
    "opencv-python-headless",
    "waitress>=3,<4",
)
FRAME_PX = (640, 480)
FRAMES = 12
MODEL = "bench"
APP_NICENESS, LINE_NICENESS = 5, -10
"""As in systemd/lineside-app.service and lineside-camera@.service."""
LINE_REALTIME, PLC_REALTIME = 2, 3
"""The line asks for the first itself; a PLC is another machine, and so goes before it."""
CLIENT_NICENESS = -15
"""Of who takes the time from outside: he is on another machine in truth."""


class Missing(Exception):  # noqa: N818 - read as a sentence where it is raised
    """Something that a part needs is not on this machine; says what to do."""


@dataclass(slots=True)
class Place:
    """The bench's working folder with everything that parts share.

    Args:
        folder: Scratch; whatever lies there may be thrown away.
        venv: The baselines' environment; made on demand, never the device's.
        quick: Whether runs are cut short.
        model: The model file to measure with; None for the bench's own.
        first_port: Ports from here on are used.
        shared: Real models and pictures where they are, `../shared/data`.
    """

    folder: Path
    venv: Path
    quick: bool = False
    model: Path | None = None
    first_port: int = 18300
    shared: Path = ROOT.parent / "shared" / "data"
    _ports: int = field(default=0, init=False)
    _stocked: bool = field(default=False, init=False)

    def port(self) -> int:
        """A free port that was not handed out before."""
        while True:
            port = self.first_port + self._ports
            self._ports += 1
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return port

    def fresh(self, name: str) -> Path:
        """An empty folder."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def baseline_python(self) -> str:
        """The Python of the baselines' environment; made now if it is not there.

        Raises:
            Missing: It can't be made.
        """
        python = self.venv / "bin" / "python"
        stamp = self.venv / "baselines.txt"
        wanted = "\n".join(BASELINE_PACKAGES)
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"bench: installing the baselines into {self.venv} (once)", file=sys.stderr)
            lock = "3.11" if sys.version_info[:2] == (3, 11) else "3.13"
            constraints = ROOT / "requirements" / f"constraints-{lock}.txt"
            pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            try:
                subprocess.run([sys.executable, "-m", "venv", self.venv], check=True)
                subprocess.run([*pip, "-c", str(constraints), *BASELINE_PACKAGES], check=True)
            except subprocess.CalledProcessError as error:
                raise Missing(f"the baselines could not be installed: {error}") from error
            stamp.write_text(wanted)
        return str(python)

    def compile(self) -> None:
        """Leave the programs' bytecode beside them, as an installed device has it.

        Raises:
            Missing: It can't be written.
        """
        for package in ("edge_app", "camera"):
            if not compileall.compile_dir(ROOT / package, quiet=2):
                raise Missing(f"{package} could not be compiled to bytecode")

    def saved_model(self) -> Path:
        """The SavedModel that the bench's model is made of: MobileNetV2, random weights."""
        folder = self.venv / "models" / "saved_model"
        if not (folder / "saved_model.pb").exists():
            self.run_baseline("make_model.py", str(folder.parent), str(self.frames()))
        return folder

    def flatbuffer(self) -> Path:
        """The int8 `.tflite` of that SavedModel, or the file given with `--model`."""
        if self.model is not None:
            return self.model
        return self.saved_model().parent / "model_int8.tflite"

    def run_baseline(self, script: str, *arguments: str) -> str:
        """Run one of the baselines' scripts to its end; returns what it printed.

        Raises:
            Missing: It failed.
        """
        command = [self.baseline_python(), str(SCRIPTS / "benchmarks" / "baselines" / script)]
        done = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        if done.returncode:
            raise Missing(f"{script} failed: {done.stderr.strip()[-600:]}")
        return done.stdout

    def frames(self) -> Path:
        """A folder of JPEG frames as a camera gives them, the same ones on every machine."""
        folder = self.folder / "frames"
        if not (folder / f"{FRAMES - 1:02d}.jpg").exists():
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(FRAMES):
                (folder / f"{number:02d}.jpg").write_bytes(draw_photo(number, *FRAME_PX))
        return folder

    def large_photo(self, size_mb: float = 4.0) -> Path:
        """A photo of about so many megabytes, as a phone uploads it."""
        path = self.folder / f"large-{size_mb:g}.jpg"
        if not path.exists():
            # A photo's bytes grow with its pixels; two trials hit the size well enough.
            side = 2000
            for _ in range(3):
                content = draw_photo(1, side * 4 // 3, side, quality=92)
                side = int(side * (size_mb * 1e6 / len(content)) ** 0.5)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return path

    def stocked(self, name: str) -> Path:
        """A data folder of its own with the model measured and active, and job 1 that uses it."""
        stock = self.folder / "stock"
        if not self._stocked:
            shutil.rmtree(stock, ignore_errors=True)
            self.stock(stock)
            self._stocked = True
        data = self.fresh(name)
        shutil.copytree(stock, data, symlinks=True, dirs_exist_ok=True)
        return data

    def stock(self, data: Path) -> ModelVersion:
        """Put the model into a data folder's store, measured and active, with job 1."""
        # Nothing else runs yet, so the measurement need not stand back as it does on a device.
        store = ModelStore(data / "models", tune=partial(tune, niceness=0))
        told = Told()
        if self.model is None:
            labels = tuple(f"class {number}" for number in range(1000))
            told = Told(labels=labels, good=labels[:1])
        version = store.add(self.flatbuffer(), MODEL, told)
        active = store.activate(MODEL, version.version)
        JobStore(data / "jobs").save(Job(number=1, name="Bench", model=MODEL))
        return active

    def choice(self, data: Path) -> tuple[str, int]:
        """Runtime and threads that were measured to be fastest for the model here."""
        store = ModelStore(data / "models")
        active = store.active(MODEL)
        if active is None:
            raise Missing("the bench's model is not active")
        tuning = store.tuning(active)
        best = tuning.best() if tuning else None
        return (best.runtime, best.threads) if best else ("litert", 1)

    def settings(self, data: Path, cameras: Sequence[str], source: str = "", **app: object) -> Path:
        """Write a settings file with so many cameras; their PLC ports are chosen here."""
        lines = ["[data]", f'dir = "{data}"', f'socket_dir = "{_in_memory()}"']
        lines += ["images_min_free_mb = 0", "", "[app]"]
        lines += [f"port = {self.port()}", *(f"{k} = {json.dumps(v)}" for k, v in app.items())]
        for name in cameras:
            lines += ["", f"[cameras.{name}]", f'source = "{source or f"folder:{self.frames()}"}"']
            lines += [f"plc_port = {self.port()}"]
        path = data / "lineside.toml"
        write_durably(path, "\n".join([*lines, ""]).encode())
        return path

    def start_app(self, config: Path, niceness: int = APP_NICENESS) -> Running:
        """Start `lineside-app` and wait until it is ready."""
        return self._start("app", ["edge_app"], config, niceness)

    def start_line(self, config: Path, camera: str) -> Running:
        """Start `lineside-camera` and wait until it is ready."""
        return self._start(camera, ["camera", camera], config, LINE_NICENESS)

    def _start(self, name: str, module: list[str], config: Path, niceness: int) -> Running:
        command = [sys.executable, "-m", *module, "--config", str(config)]
        log = config.parent / "logs" / f"{name}.log"
        # As in the units: a BLAS that starts a thread for each core only costs.
        environ = {"OPENBLAS_NUM_THREADS": "1"}
        return start_until_ready(name, command, log, environ, niceness=niceness)


def draw_photo(number: int, width: int, height: int, quality: int = 88) -> bytes:
    """A JPEG with edges, gradients and noise, much as a photo has them; by number."""
    rng = np.random.default_rng(number)
    small = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    centre = (int(rng.uniform(0.3, 0.7) * width), int(rng.uniform(0.3, 0.7) * height))
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    part = image.astype(np.uint8)
    cv2.circle(part, centre, height // 4, colour, thickness=-1)
    cv2.circle(part, centre, height // 10, (20, 20, 20), thickness=-1)
    noise = rng.normal(0, 6, (height, width, 1))
    noisy = np.clip(part + noise, 0, 255).astype(np.uint8)
    done, encoded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return encoded.tobytes()


def _in_memory() -> Path:
    """A folder such as systemd gives the units below /run; gone when the bench ends."""
    folder = Path(tempfile.mkdtemp(prefix="lineside-bench-", dir="/dev/shm"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
