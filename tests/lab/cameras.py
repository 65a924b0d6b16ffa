"""Real streams, killed and restarted: each comes back by itself and gives no stale frame.

    python tests/lab/cameras.py rtsp | mjpeg | aravis | v4l2      see scripts/test-cameras

Each stage runs a whole line with a model and triggers all the while, as a PLC does. Each part's
picture is kept; the moment that it tells is held against the trigger's.
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
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stamps import OSD, RAMP, TIMECODE, Stamp
from whole_line import WholeLine, free_port

from camera.sources.knock import no_industrial_camera

LAB = Path(__file__).parent
BACK_S = 2.0
"""A camera must be found within this time of its return: of the moment at which it answers."""

FROZEN_S = 4.0
"""How long a frozen camera stays so: longer than a driver that says nothing is let live."""

HELD_S = 3.0
"""A GigE Vision camera that was frozen believes in its lost client for so long."""

GROWTH_MB = 20.0
"""What allocators keep; a leak of one frame for each loss would be more."""

SKIPPED = 77


def say(text: str) -> None:
    """A line for whoever runs this."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Stage:
    """One camera's line under watch.

    Args:
        camera: The camera's settings.
        stamp: How its pictures tell their moment.
        start_s: How long the line may take to be ready, or to notice what happens.
    """

    def __init__(
        self, camera: Mapping[str, object], stamp: Stamp = TIMECODE, *, start_s: float = 30
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.line = WholeLine(Path(self._folder.name), camera, stamp)
        self.start_s = start_s
        self.back_s: list[float] = []
        self.thawed_s: list[float] = []
        self.memory_mb: list[float] = []

    def start(self, quiet_s: float) -> None:
        """Begin to inspect, and let it be for a while."""
        self.line.start(self.start_s)
        time.sleep(quiet_s)
        self.memory_mb.append(self.line.memory_mb())

    def until_lost(self) -> None:
        """Wait until a part is told that there is no picture of it."""
        self.line.until_lost(time.monotonic(), self.start_s)

    def until_back(self) -> float:
        """Wait until a part is judged; how long that took from now on."""
        began = time.monotonic()
        return self.line.until_judged(began, 2 * self.start_s) - began

    def finish(self, name: str, quiet_s: float, held_s: float = 0.0) -> int:
        """Print what was seen, as a row of docs/cameras.md; the exit status."""
        time.sleep(quiet_s)
        self.memory_mb.append(self.line.memory_mb())
        self.line.stop()
        answers, told = self.line.answers, self.line.pictures()
        judged = sum(answer.judged for answer in answers)
        grown = self.memory_mb[-1] - self.memory_mb[0]
        say(
            f"{name}: back after {', '.join(f'{back_s:.2f}' for back_s in self.back_s)} s, "
            f"frozen {', '.join(f'{back_s:.2f}' for back_s in self.thawed_s) or '-'} s; "
            f"{answers[-1].came_at - answers[0].sent_at:.0f} s in all\n"
            f"| {name} | {len(answers)} | {judged} | {told.seen} | {told.stale} | {told.twice} "
            f"| {told.oldest_ms:.0f} ms | {len(self.back_s)} | {_spread(self.back_s)} "
            f"| {_spread(self.thawed_s)} | {grown:+.1f} MB of {self.memory_mb[0]:.0f} |"
        )
        self._folder.cleanup()
        in_time = max(self.back_s) < BACK_S and max(self.thawed_s, default=0.0) < BACK_S + held_s
        clean = told.seen and not told.stale and not told.twice and grown < GROWTH_MB
        return 0 if in_time and clean else 1


def _spread(spans_s: list[float]) -> str:
    """The median and the worst."""
    return f"{statistics.median(spans_s):.2f}, {max(spans_s):.2f} s" if spans_s else "-"


def serving(port: int) -> float:
    """Wait until somebody listens."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return time.monotonic()
        time.sleep(0.01)
    raise SystemExit(f"nobody listens on port {port}")


@dataclass(frozen=True)
class Server:
    """A camera that is a program here.

    Args:
        command: Starts it.
        ready: Returns when it can be reached.
        held_s: How much longer it takes to be had after a freeze.
    """

    command: list[str]
    ready: Callable[[], object]
    held_s: float = 0.0

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; it can be reached afterwards."""
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(self.command, stdout=quiet, stderr=quiet)
        self.ready()
        return process


def restarts(name: str, stage: Stage, server: Server, count: int, quiet_s: float) -> int:
    """Kill the camera and start it again; freeze it and let it go on."""
    process = server.start()
    try:
        stage.start(quiet_s)
        for number in range(count):
            process.kill()
            process.wait()
            stage.until_lost()
            time.sleep(0.3)
            process = server.start()
            stage.back_s.append(stage.until_back())
            time.sleep(1.0)
            if number % 3 == 2:
                # Frozen: silent on an open connection.
                process.send_signal(signal.SIGSTOP)
                stage.until_lost()
                time.sleep(FROZEN_S)
                process.send_signal(signal.SIGCONT)
                stage.thawed_s.append(stage.until_back())
                time.sleep(1.0)
        return stage.finish(name, quiet_s, server.held_s)
    finally:
        stage.line.stop()
        process.kill()
        process.wait()


def rtsp(count: int, quiet_s: float) -> int:
    """H.264 by GStreamer's RTSP server."""
    probe = ["/usr/bin/python3", "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        say("rtsp: skipped, Debian's GStreamer RTSP server is not installed")
        return SKIPPED
    port = free_port()
    stage = Stage({"source": f"rtsp://127.0.0.1:{port}/parts"})
    command = ["/usr/bin/python3", str(LAB / "rtsp_server.py"), str(port)]
    return restarts("rtsp", stage, Server(command, lambda: serving(port)), count, quiet_s)


def mjpeg(count: int, quiet_s: float) -> int:
    """JPEG after JPEG over HTTP."""
    port = free_port()
    stage = Stage({"source": f"http://127.0.0.1:{port}/"})
    command = [sys.executable, str(LAB / "mjpeg_server.py"), str(port)]
    return restarts("mjpeg", stage, Server(command, lambda: serving(port)), count, quiet_s)


def aravis(count: int, quiet_s: float) -> int:
    """Aravis' own simulated GigE Vision camera. Its discovery broadcasts: only under unshare -n."""
    if shutil.which("arv-fake-gv-camera-0.8") is None or not ctypes.util.find_library("aravis-0.8"):
        say("aravis: skipped, aravis-tools or libaravis-0.8-0 is not installed")
        return SKIPPED
    if any(name != "lo" for _, name in socket.if_nameindex()):
        raise SystemExit("aravis: run it under `unshare -n` with lo up, or it broadcasts")
    stage = Stage({"source": "aravis:127.0.0.1", "latency_ms": 0}, RAMP)
    command = ["arv-fake-gv-camera-0.8", "-i", "127.0.0.1"]
    return restarts("aravis", stage, Server(command, answering, HELD_S), count, quiet_s)


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
    # In software emulation a process of its own needs a quarter of a minute to start, and a
    # part most of a second.
    camera = {
        "source": f"v4l2:{device()}",
        "width_px": 640,
        "height_px": 360,
        "isolated": False,
        "deadline_ms": 5000,
        "max_frame_age_ms": 5000,
    }
    stage = Stage(camera, OSD, start_s=180)
    try:
        stage.start(quiet_s)
        for number in range(1, count + 1):
            (driver / "unbind").write_text("vivid.0")
            stage.until_lost()
            (driver / "bind").write_text("vivid.0")
            stage.back_s.append(stage.until_back())
            say(f"v4l2: unplugged, {number} of {count}; it is {device().resolve()} now")
            time.sleep(1.0)
            if number % 3 == 0:
                drop = ["v4l2-ctl", "-d", str(device()), "-c"]
                subprocess.run([*drop, "percentage_of_dropped_buffers=100"], check=True)
                stage.until_lost()
                subprocess.run([*drop, "percentage_of_dropped_buffers=0"], check=True)
                stage.thawed_s.append(stage.until_back())
        return stage.finish("v4l2", quiet_s)
    finally:
        stage.line.stop()


def device() -> Path:
    """The camera's name that stays the same, whichever number it has: udev keeps it."""
    end = time.monotonic() + 20
    while not (found := list(Path("/dev/v4l/by-path").glob("*-video-index0"))):
        if time.monotonic() > end:
            raise SystemExit("v4l2: udev gave the camera no name")
        time.sleep(0.05)
    return found[0]


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
