"""What systemd hears from a program and hands to it; outside systemd all of it does nothing.

The log goes to the journal with fields where systemd-python is installed, else to stderr.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Mapping

try:
    from systemd import daemon, journal
except ImportError:  # the folder of unit files answers to `import systemd` and has neither
    daemon = journal = None

log = logging.getLogger(__name__)

FIRST_HANDED_FD = 3
"""Where the sockets of socket activation begin; 0 to 2 are the standard streams."""

PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
"""Logging levels and the syslog priorities the journal sorts by; what is below is debug, 7."""


def ready() -> bool:
    """Say that the program serves from now on. True if systemd was told."""
    return _notify("READY=1")


def watchdog() -> bool:
    """Prove life, after real work only. True if systemd was told."""
    return _notify("WATCHDOG=1")


def status(text: str) -> bool:
    """Say in one line what goes on, for `systemctl status`. True if systemd was told."""
    return _notify("STATUS=" + " ".join(text.split()))


def stopping() -> bool:
    """Say that the program leaves. True if systemd was told."""
    return _notify("STOPPING=1")


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two proofs of life: half of what systemd waits for one.

    None where systemd keeps no watch, or keeps it on another process than this.
    """
    pid = environ.get("WATCHDOG_PID")
    if pid is not None and pid != str(os.getpid()):
        return None
    try:
        wait_us = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return wait_us / 2_000_000 if wait_us > 0 else None


def listening_sockets(environ: Mapping[str, str] = os.environ) -> list[socket.socket]:
    """The listening sockets that systemd opened for this process; none without a socket unit.

    The caller owns them. They outlive a restart of the program, so that no client is refused.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    handed = range(FIRST_HANDED_FD, FIRST_HANDED_FD + int(environ.get("LISTEN_FDS", "0")))
    for number in handed:
        os.set_inheritable(number, False)
    return [socket.socket(fileno=number) for number in handed]


def setup_logging(identifier: str, level: int | str = logging.INFO) -> logging.Handler:
    """Send the log of the whole process to the journal, or to stderr where there is none.

    Args:
        identifier: The program's name in the journal (`journalctl -t`).
        level: The least level that is kept.

    Returns:
        The one handler of the root logger; those that were there are gone.
    """
    handler = log_handler(identifier)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    return handler


def log_handler(identifier: str, environ: Mapping[str, str] = os.environ) -> logging.Handler:
    """The handler that suits where stderr leads. See `setup_logging`."""
    if not _stderr_is_journal(environ):
        lines = logging.StreamHandler()
        lines.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        return lines
    if journal is not None:
        handler: logging.Handler = journal.JournalHandler(SYSLOG_IDENTIFIER=identifier)
        # Time, priority and logger are fields of their own there.
        handler.setFormatter(logging.Formatter("%(message)s"))
        return handler
    lines = logging.StreamHandler()
    lines.setFormatter(_PriorityLines("%(name)s: %(message)s"))
    return lines


def fields(**values: object) -> dict[str, str]:
    """Journal fields for `extra=`: `fields(camera="cam1")` is `LINESIDE_CAMERA=cam1`."""
    return {f"LINESIDE_{name.upper()}": str(value) for name, value in values.items()}


class _PriorityLines(logging.Formatter):
    """Puts the priority in front of each line, from where journald takes it."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in PRIORITIES if record.levelno >= level), 7)
        lines = super().format(record).splitlines()
        return "\n".join(f"<{priority}>{line}" for line in lines)


def _stderr_is_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr is the stream that systemd opened.

    The variable alone says nothing: a terminal started by a service inherits it.
    """
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # closed, none, or no file at all
        return False
    return environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def _notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    if not environ.get("NOTIFY_SOCKET"):
        return False
    try:
        if daemon is not None:
            return bool(daemon.notify(state))
        _send(environ["NOTIFY_SOCKET"], state)
    except OSError as error:
        # The program goes on: its work counts more than who watches it.
        log.warning("systemd did not hear %s: %s", state, error)
        return False
    return True


def _send(address: str, state: str) -> None:
    """One datagram, as sd_notify(3) describes it; `@` stands for an abstract socket's NUL."""
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagram:
        datagram.connect(address)
        datagram.sendall(state.encode())
