"""Real streams, killed and restarted: each comes back by itself and gives no stale frame.

    python tests/lab/cameras.py rtsp | mjpeg | aravis | v4l2      see scripts/test-cameras

Each stage triggers all the while, as a PLC does, and holds the moment that the picture
itself tells (where it tells one) against the moment of the trigger.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes.util
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from camera.capture import Capture, NoFrame, StaleFrame
from camera.sources import make_source
from camera.sources.knock import no_industrial_camera
from camera.sources.pattern import read_number
from edge_app.config import CameraSettings
from edge_app.inference.budget import Deadline

LAB = Path(__file__).parent
DEADLINE_MS = 400.0
SLACK_MS = 5.0
"""The clock is read a little before the picture is drawn."""

BACK_S = 2.0
"""A camera must be found within this time of its return: of the moment at which it answers."""

HELD_S = 3.0
"""A GigE Vision camera that was frozen believes in its lost client for so long."""

GROWTH_MB = 20.0
"""What allocators keep; a leak of one frame for each loss would be more."""

SKIPPED = 77


def say(text: str) -> None:
    """A line for whoever runs this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass
class Watch:
    """Triggers a camera all the while, and remembers the worst."""

    capture: Capture
    timecode: bool
    triggers: int = 0
    frames: int = 0
    stale: int = 0
    oldest_ms: float = 0.0
    stopping: bool = False
    failures: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Until it is stopped."""
        while not self.stopping:
            moment = time.monotonic()
            self.triggers += 1
            try:
                frame = self.capture.exposed_after(moment, Deadline(moment, DEADLINE_MS))
            except (NoFrame, StaleFrame):
                time.sleep(0.02)
                continue
            self.frames += 1
            if self.timecode:
                made_ms = read_number(frame.pixels())
                lead_ms = made_ms - moment * 1000 % 2**32
                self.stale += lead_ms < -SLACK_MS
                self.oldest_ms = max(self.oldest_ms, time.monotonic() * 1000 % 2**32 - made_ms)
            time.sleep(0.02)


class Stage:
    """One camera under watch."""

    def __init__(self, settings: CameraSettings, *, timecode: bool) -> None:
        self.capture = Capture(lambda: make_source(settings), "lab", 0.0)
        self.watch = Watch(self.capture, timecode)
        self._thread = threading.Thread(target=self.watch.run, daemon=True)
        self.back_s: list[float] = []
        self.thawed_s: list[float] = []
        self.memory_mb: list[float] = []

    def start(self) -> None:
        """Begin to capture and to trigger."""
        self.capture.start()
        self.until_live(30)
        self._thread.start()

    def until_live(self, within_s: float) -> float:
        """Wait for a frame; how long it took."""
        began = time.monotonic()
        while self.capture.newest() is None:
            if time.monotonic() - began > within_s:
                raise SystemExit(f"no frame in {within_s:.0f} s: {self.capture.state().reason}")
            time.sleep(0.005)
        return time.monotonic() - began

    def until_lost(self, within_s: float = 10) -> None:
        """Wait until the loss is noticed."""
        end = time.monotonic() + within_s
        while self.capture.newest() is not None:
            if time.monotonic() > end:
                raise SystemExit("the loss was never noticed")
            time.sleep(0.005)

    def note_memory(self) -> None:
        """What this process and its children hold."""
        ourselves = psutil.Process()
        total = 0
        for process in [ourselves, *ourselves.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        self.memory_mb.append(total / 1e6)

    def finish(self, name: str, held_s: float = 0.0) -> int:
        """Print what was seen, as a row of docs/cameras.md; the exit status."""
        self.watch.stopping = True
        self._thread.join(5)
        self.capture.stop()
        watch, state = self.watch, self.capture.state()
        grown = self.memory_mb[-1] - self.memory_mb[0] if len(self.memory_mb) > 1 else 0.0
        oldest = f"{watch.oldest_ms:.0f} ms" if self.watch.timecode else "not told"
        say(
            f"{name}: {state.reconnects} times lost and found; "
            f"back after {', '.join(f'{back_s:.2f}' for back_s in self.back_s)} s, "
            f"frozen {', '.join(f'{back_s:.2f}' for back_s in self.thawed_s) or '-'} s\n"
            f"| {name} | {watch.triggers} | {watch.frames} | {watch.stale} | {oldest} "
            f"| {len(self.back_s)} | {_spread(self.back_s)} | {_spread(self.thawed_s)} "
            f"| {grown:+.1f} MB of {self.memory_mb[0]:.0f} |"
        )
        in_time = max(self.back_s) < BACK_S and max(self.thawed_s, default=0.0) < BACK_S + held_s
        return 0 if in_time and not watch.stale and watch.frames and grown < GROWTH_MB else 1


def _spread(spans_s: list[float]) -> str:
    """The median and the worst."""
    return f"{statistics.median(spans_s):.2f}, {max(spans_s):.2f} s" if spans_s else "-"


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serving(port: int) -> float:
    """Wait until somebody listens."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return time.monotonic()
        time.sleep(0.01)
    raise SystemExit(f"nobody listens on port {port}")


def restarts(
    stage: Stage,
    start: Callable[[], subprocess.Popen[bytes]],
    ready: Callable[[], object],
    count: int,
    quiet_s: float,
) -> None:
    """Kill the camera and start it again; freeze it and let it go on."""
    process = start()
    ready()
    try:
        stage.start()
        time.sleep(quiet_s)
        stage.note_memory()
        for number in range(count):
            process.kill()
            process.wait()
            stage.until_lost()
            time.sleep(0.3)
            process = start()
            ready()
            stage.back_s.append(stage.until_live(20))
            time.sleep(1.0)
            if number % 3 == 2:
                # Frozen: silent on an open connection.
                process.send_signal(signal.SIGSTOP)
                stage.until_lost()
                process.send_signal(signal.SIGCONT)
                stage.thawed_s.append(stage.until_live(20))
                time.sleep(1.0)
        time.sleep(quiet_s)
        stage.note_memory()
    finally:
        process.kill()
        process.wait()


def rtsp(count: int, quiet_s: float) -> int:
    """H.264 by GStreamer's RTSP server."""
    probe = ["/usr/bin/python3", "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        say("rtsp: skipped, Debian's GStreamer RTSP server is not installed")
        return SKIPPED
    port = free_port()
    settings = CameraSettings(source=f"rtsp://127.0.0.1:{port}/parts")
    stage = Stage(settings, timecode=True)
    command = ["/usr/bin/python3", str(LAB / "rtsp_server.py"), str(port)]
    restarts(stage, lambda: subprocess.Popen(command), lambda: serving(port), count, quiet_s)
    return stage.finish("rtsp")


def mjpeg(count: int, quiet_s: float) -> int:
    """JPEG after JPEG over HTTP."""
    port = free_port()
    stage = Stage(CameraSettings(source=f"http://127.0.0.1:{port}/"), timecode=True)
    command = [sys.executable, str(LAB / "mjpeg_server.py"), str(port)]
    restarts(stage, lambda: subprocess.Popen(command), lambda: serving(port), count, quiet_s)
    return stage.finish("mjpeg")


def aravis(count: int, quiet_s: float) -> int:
    """Aravis' own simulated GigE Vision camera. Its discovery broadcasts: only under unshare -n."""
    if shutil.which("arv-fake-gv-camera-0.8") is None or not ctypes.util.find_library("aravis-0.8"):
        say("aravis: skipped, aravis-tools or libaravis-0.8-0 is not installed")
        return SKIPPED
    if any(name != "lo" for _, name in socket.if_nameindex()):
        raise SystemExit("aravis: run it under `unshare -n` with lo up, or it broadcasts")
    settings = CameraSettings(source="aravis:127.0.0.1", latency_ms=0)
    stage = Stage(settings, timecode=False)
    command = ["arv-fake-gv-camera-0.8", "-i", "127.0.0.1"]
    restarts(
        stage,
        lambda: subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
        answering,
        count,
        quiet_s,
    )
    return stage.finish("aravis", HELD_S)


def answering() -> None:
    """Wait until the simulated GigE Vision camera answers."""
    end = time.monotonic() + 20
    while absence := no_industrial_camera("127.0.0.1"):
        if time.monotonic() > end:
            raise SystemExit(absence)
        time.sleep(0.01)


def v4l2(count: int, quiet_s: float) -> int:
    """The kernel's vivid driver: unplugged and stalled. Only in the small virtual machine."""
    driver = Path("/sys/bus/platform/drivers/vivid")
    if not driver.exists():
        say("v4l2: skipped, there is no vivid driver here (tests/lab/boot-v4l2 boots one)")
        return SKIPPED
    # In software emulation a process of its own needs a quarter of a minute to start.
    settings = CameraSettings(
        source="v4l2:/dev/video0", width_px=640, height_px=360, isolated=False
    )
    stage = Stage(settings, timecode=False)
    stage.start()
    time.sleep(quiet_s)
    stage.note_memory()
    for number in range(1, count + 1):
        say(f"v4l2: unplugged, {number} of {count}")
        (driver / "unbind").write_text("vivid.0")
        stage.until_lost()
        (driver / "bind").write_text("vivid.0")
        stage.back_s.append(stage.until_live(60))
        time.sleep(1.0)
    drop = ["v4l2-ctl", "-d", "/dev/video0", "-c"]
    subprocess.run([*drop, "percentage_of_dropped_buffers=100"], check=True)
    stage.until_lost(15)
    say(f"v4l2: a stall is a loss: {stage.capture.state().reason}")
    subprocess.run([*drop, "percentage_of_dropped_buffers=0"], check=True)
    stage.thawed_s.append(stage.until_live(60))
    time.sleep(quiet_s)
    stage.note_memory()
    return stage.finish("v4l2")


STAGES: dict[str, Callable[[int, float], int]] = {
    "rtsp": rtsp,
    "mjpeg": mjpeg,
    "aravis": aravis,
    "v4l2": v4l2,
}


def main() -> int:
    """Run one stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--restarts", type=int, default=3, help="times it is killed")
    parser.add_argument("--quiet-s", type=float, default=3.0, help="undisturbed, before and after")
    parser.add_argument("--back-s", type=float, default=BACK_S, help="time to be back in")
    arguments = parser.parse_args()
    globals()["BACK_S"] = arguments.back_s
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    return STAGES[arguments.stage](arguments.restarts, arguments.quiet_s)


if __name__ == "__main__":
    sys.exit(main())
