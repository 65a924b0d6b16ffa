"""Starts programs, hears when they are ready, and reads what they cost from /proc."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
STOP_S = 5.0


class NotReady(Exception):  # noqa: N818 - read as a sentence where it is raised
    """The program ended or stayed silent; the message holds its last words."""


@dataclass(slots=True)
class Running:
    """A program of ours or a baseline.

    Args:
        name: For messages.
        process: The child.
        log: Where its words go.
        ready_s: Seconds from exec until it said that it is ready.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ready_s: float = float("nan")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def stop(self) -> None:
        """Ask it to end, with all its children; kill what does not."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self.process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace").strip()
        return " / ".join(text.splitlines()[-3:])[-600:]


def set_niceness(niceness: int) -> bool:
    """Niceness of this thread and of what it starts; False where that is not allowed.

    Whoever starts it may have put himself first, in real time: that is not handed down.
    """
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    except PermissionError:
        return False
    return True


@contextlib.contextmanager
def niced(niceness: int) -> Iterator[bool]:
    """This thread's niceness while the block runs; gives False where that is not allowed."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    allowed = set_niceness(niceness)
    try:
        yield allowed
    finally:
        set_niceness(before)


def set_realtime(priority: int) -> bool:
    """Real-time priority of this thread and its children; False where that is not allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    except PermissionError:
        return False
    return True


@contextlib.contextmanager
def first(priority: int) -> Iterator[bool]:
    """This thread's real-time priority while the block runs; False where that is not allowed."""
    policy, given = os.sched_getscheduler(0), os.sched_getparam(0)
    allowed = set_realtime(priority)
    try:
        yield allowed
    finally:
        os.sched_setscheduler(0, policy, given)


def start(
    name: str,
    command: Sequence[str],
    log: Path,
    environ: Mapping[str, str] | None = None,
    niceness: int = 0,
) -> Running:
    """Start a program in a process group of its own; it dies with this process."""

    def prepare() -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        set_niceness(niceness)

    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            list(command),
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - no thread of ours holds a lock here
        )
    return Running(name, process, log)


def start_until_ready(
    name: str,
    command: Sequence[str],
    log: Path,
    environ: Mapping[str, str] | None = None,
    *,
    niceness: int = 0,
    within_s: float = 60.0,
) -> Running:
    """Start a program that says READY=1 as systemd wants it, and wait for that.

    Raises:
        NotReady: It ended first, or said nothing in time.
    """
    path = log.with_suffix(".notify")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(path))
        ear.settimeout(0.05)
        began = time.monotonic()
        running = start(
            name, command, log, {**(environ or {}), "NOTIFY_SOCKET": str(path)}, niceness
        )
        while time.monotonic() - began < within_s:
            try:
                said = ear.recv(4096)
            except TimeoutError:
                if running.process.poll() is not None:
                    break
                continue
            if b"READY=1" in said:
                running.ready_s = time.monotonic() - began
                return running
    running.stop()
    raise NotReady(f"{name} was not ready: {running.last_words()}")


def family(pid: int) -> list[int]:
    """A process with all its descendants."""
    found = [pid]
    for member in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{member}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_s(pid: int) -> float:
    """Processor seconds that a process with its descendants has used."""
    total = 0.0
    for member in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return total


def resident_mb(pid: int) -> float:
    """Memory of a process with its descendants; what they share is counted once (PSS)."""
    total = 0.0
    for member in family(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024 / 1e6
    return total


def descriptors(pid: int) -> int:
    """Open files of a process."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names alone are counted
    except OSError:
        return 0


@contextlib.contextmanager
def all_stopped(programs: list[Running]) -> Iterator[None]:
    """Stop every program in the list at the end, those added meanwhile too."""
    try:
        yield
    finally:
        for running in reversed(programs):
            running.stop()
