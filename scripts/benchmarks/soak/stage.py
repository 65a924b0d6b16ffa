"""The soak's stage: a data folder with two lines, the parts with their truth, and `lineside up`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.place import DEMO_MODEL, Missing, Place
from benchmarks.processes import Running, family, start
from benchmarks.soak.reference import references
from edge_app.config import Settings
from edge_app.inference.bundle import read_bundle, write_bundle
from edge_app.inference.durable import write_durably
from edge_app.inference.guess import Told
from edge_app.jobs import Job, JobStore
from edge_app.models import ModelStore
from edge_app.settings_file import load_settings

MODEL = "soak"
TMPFS_MB = 400
CIFAR_LABELS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
PHOTOS_EACH = 12


@dataclass(slots=True)
class Stage:
    """Everything that the actors share.

    Args:
        data: The data folder.
        config: The settings file.
        settings: Read from it.
        parts: The parts' photos.
        truth: Verdict of each, by file name.
        under_camera: The folder that the first line looks at; it holds one photo.
        versions: The model's versions; both answer alike.
        up: `lineside up`.
        small_disk: Whether the data folder is a small disk of its own that can be filled.
        stopping: Set at the end.
        disturbed: Set while a fault makes late or missing answers rightful.
        bare: Set while nothing lies under the camera.
    """

    data: Path
    config: Path
    settings: Settings
    parts: Path
    truth: dict[str, str]
    under_camera: Path
    versions: tuple[int, int]
    small_disk: bool
    up: Running | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    disturbed: threading.Event = field(default_factory=threading.Event)
    bare: threading.Event = field(default_factory=threading.Event)

    def raise_curtain(self) -> None:
        """Start `lineside up`; it restarts what dies."""
        command = [sys.executable, "-m", "edge_app.cli", "up", "--data", str(self.data)]
        self.up = start("up", command, self.data.parent / "up.log")

    def pid(self, name: str) -> int | None:
        """The process of `app`, `cam1` or `cam2`; None while it is down."""
        if self.up is None:
            return None
        wanted = ["edge_app"] if name == "app" else ["camera", name]
        for pid in family(self.up.pid)[1:]:
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue
            if "-m" in words and words[words.index("-m") + 1 :][: len(wanted)] == wanted:
                return pid
        return None

    def show(self, photo: str) -> None:
        """Put a part under the camera: at every moment the old or the new one lies there."""
        temporary = self.under_camera.parent / "next.tmp"
        shutil.copyfile(self.parts / photo, temporary)
        os.replace(temporary, self.under_camera / "part.jpg")  # noqa: PTH105 - the atomic one

    def clear(self) -> None:
        """Take the part away."""
        (self.under_camera / "part.jpg").unlink(missing_ok=True)

    def strike(self) -> None:
        """Give the small disk back."""
        if self.small_disk:
            subprocess.run(["umount", "--lazy", str(self.data)], check=False)


def set_stage(place: Place, *, want_small_disk: bool) -> Stage:
    """Make data folder, model, parts and settings.

    Raises:
        Missing: There is no model whose answers mean anything.
    """
    folder = place.fresh("soak")
    data = folder / "data"
    data.mkdir()
    small_disk = want_small_disk and _small_disk(data)
    parts, model, told = _cast(place, folder)
    store = ModelStore(data / "models")
    first = store.add(model, MODEL, told)
    store.activate(MODEL, first.version)
    # The same answers from another file: what a swap must not change.
    bundle = read_bundle(first.path)
    spec = replace(bundle.spec, made={**bundle.spec.made, "soak": "twin"})
    second_path = folder / "twin.tflite"
    write_bundle(second_path, replace(bundle, spec=spec))
    second = store.add(second_path, MODEL)
    store.activate(MODEL, second.version)
    truth = references(first.path, parts)
    if len(set(truth.values()) & {"OK", "NG"}) < 2:
        raise Missing("the parts' photos are not both good and bad to the model")
    JobStore(data / "jobs").save(Job(number=1, name="Soak", model=MODEL))
    under_camera = folder / "camera"
    under_camera.mkdir()
    config = data / "lineside.toml"
    write_durably(config, _settings(place, under_camera).encode())
    settings = load_settings(config, {"LINESIDE_DATA__DIR": str(data)})
    versions = (first.version, second.version)
    return Stage(data, config, settings, parts, truth, under_camera, versions, small_disk)


def _settings(place: Place, under_camera: Path) -> str:
    return f"""\
[data]
images_max_mb = 60
images_min_free_mb = 20
[app]
port = {place.port()}
[cameras.cam1]
source = {json.dumps(f"folder:{under_camera}")}
plc_port = {place.port()}
[cameras.cam2]
source = "pattern:"
frame_rate_hz = 10
free_run_hz = 1
plc_port = {place.port()}
modbus = "control"
modbus_port = {place.port()}
"""


def _cast(place: Place, folder: Path) -> tuple[Path, Path, Told]:
    """Photos, the model that judges them, and what must be said of it."""
    if place.model is None and DEMO_MODEL.exists():
        return DEMO_MODEL.parent / "parts", DEMO_MODEL, Told()
    cifar = place.shared / "cifar10"
    if not cifar.exists():
        raise Missing("the demo's model is not there, nor are the pictures in ../shared/data")
    parts = folder / "parts"
    parts.mkdir()
    for label in ("truck", "frog", "ship"):
        for path in sorted((cifar / "images" / label).glob("*.jpg"))[:PHOTOS_EACH]:
            shutil.copyfile(path, parts / f"{label}-{path.name}")
    told = Told(labels=CIFAR_LABELS, good=("truck",), mean=(0.0,), std=(1.0,))
    return parts, cifar / "authors_int8.tflite", told


def _small_disk(folder: Path) -> bool:
    """A small disk of its own below the data folder, where this user may mount one."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_MB}m", "lineside-soak", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
