"""What a program tells systemd, and where its log goes."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app import notify


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket on which systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


@pytest.mark.parametrize(
    ("say", "heard"),
    [
        (notify.ready, b"READY=1"),
        (notify.watchdog, b"WATCHDOG=1"),
        (notify.stopping, b"STOPPING=1"),
        (lambda: notify.status("cam1:\n 3 parts"), b"STATUS=cam1: 3 parts"),
    ],
)
def test_each_word_reaches_the_manager(manager: socket.socket, say: object, heard: bytes) -> None:
    """Each function sends the datagram that sd_notify(3) names."""
    assert callable(say)

    assert say() is True
    assert manager.recv(4096) == heard


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that begins with @ is a socket without a file."""
    name = f"lineside-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(2)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")

        assert notify.ready()
        assert listening.recv(4096) == b"READY=1"


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program started by hand tells nobody and says so."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    assert notify.ready() is False


def test_a_deaf_manager_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A socket nobody listens on costs a log line, never the program."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))

    assert notify.watchdog() is False
    assert "did not hear WATCHDOG=1" in caplog.text


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
        ({"WATCHDOG_USEC": "5000000"}, 2.5),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_life_is_proved_twice_in_the_time_allowed(
    environ: dict[str, str], seconds: float | None
) -> None:
    """The interval is half the watchdog's time, and only for the process that is watched."""
    assert notify.watchdog_interval_s(environ) == seconds


HANDED = """
import os, sys
from edge_app import notify
os.environ["LISTEN_PID"] = str(os.getpid())
(listening,) = notify.listening_sockets()
print(listening.getsockname()[1], listening.get_inheritable())
"""


def test_a_handed_socket_is_taken() -> None:
    """The socket of a socket unit arrives as descriptor 3 and is kept from child processes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        child = (
            "import os, sys\n"
            f"os.dup2({listening.fileno()}, 3)\n"
            f"os.execv(sys.executable, [sys.executable, '-c', {HANDED!r}])\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", child],
            pass_fds=(listening.fileno(),),
            env={**os.environ, "LISTEN_FDS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )

    assert said.stdout.split() == [str(port), "False"]


def test_sockets_for_another_process_are_left_alone() -> None:
    """LISTEN_FDS inherited from a parent means nothing to this process."""
    assert notify.listening_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []


def test_a_terminal_gets_plain_lines() -> None:
    """Where stderr is no journal, a line carries time and level for a human."""
    handler = notify.log_handler("lineside-test", {"JOURNAL_STREAM": "1:1"})

    assert isinstance(handler, logging.StreamHandler)
    assert handler.format(_record("a\nb")).endswith("WARNING lineside.test: a\nb")


WITHOUT_SYSTEMD_PYTHON = """
import logging, os, sys
sys.modules["systemd.daemon"] = sys.modules["systemd.journal"] = None
stream = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{stream.st_dev}:{stream.st_ino}"
from edge_app import notify
notify.setup_logging("lineside-test")
logging.getLogger("camera.line").error("first\\nsecond", extra=notify.fields(camera="cam1"))
logging.getLogger("camera.line").debug("unseen")
"""


def test_the_journal_gets_priorities_without_systemd_python() -> None:
    """Each line begins with the priority that journald reads, when only stderr leads there."""
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_SYSTEMD_PYTHON], capture_output=True, text=True, check=True
    )

    assert said.stderr == "<3>camera.line: first\n<3>second\n"


def test_fields_carry_the_products_name() -> None:
    """Fields in the journal begin with LINESIDE_, so that they meet nobody else's."""
    assert notify.fields(camera="cam1", trigger=17) == {
        "LINESIDE_CAMERA": "cam1",
        "LINESIDE_TRIGGER": "17",
    }


def test_the_folder_of_units_is_no_package() -> None:
    """`systemd/` has no __init__.py: with one it would hide systemd-python."""
    assert not (Path(__file__).parents[1] / "systemd" / "__init__.py").exists()


def test_the_journal_handler_names_the_program() -> None:
    """With systemd-python, what is logged carries the program's name."""
    if notify.journal is None:
        pytest.skip("systemd-python is not installed")
    stream = os.fstat(sys.stderr.fileno())
    handler = notify.log_handler(
        "lineside-test", {"JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino}"}
    )

    assert importlib.util.find_spec("systemd.journal") is not None
    assert type(handler).__name__ == "JournalHandler"


def _record(message: str) -> logging.LogRecord:
    return logging.LogRecord(
        "lineside.test", logging.WARNING, __file__, 1, message, args=None, exc_info=None
    )
