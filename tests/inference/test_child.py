"""Child processes: whatever happens in one, the parent gets an answer or a sentence in time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from edge_app.inference.child import ChildFailed, ask

T = TypeVar("T")

MODULES = {
    "echo": "print('noise'); os.system('echo more noise'); return question | {'nice': os.nice(0)}",
    "crash": "os.abort()",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "hang": "import time; time.sleep(60)",
    "hog": "return {'size': len(bytearray(4_000_000_000))}",
    "error": "raise ValueError('it does not add up')",
    "silent": "os._exit(0)",
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that misbehave, each in its own way."""
    for name, body in MODULES.items():
        (tmp_path / f"child_{name}.py").write_text(
            "import os\nfrom edge_app.inference.child import answer\n"
            f"def reply(question):\n    {body}\n"
            "if __name__ == '__main__':\n    answer(reply)\n"
        )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_an_answer_comes_back_without_the_noise() -> None:
    """What a runtime prints, from Python or below, is no part of it; and the child is polite."""
    reply = ask("child_echo", {"ä": [1, 2.5, None]}, wall_s=20, niceness=7)

    assert reply == {"ä": [1, 2.5, None], "nice": 7 + os.nice(0)}


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("crash", "ended by SIGABRT"),
        ("segfault", "ended by SIGSEGV"),
        ("hog", "needs more memory than it may have"),
        ("error", "failed: ValueError: it does not add up"),
        ("silent", "gave no answer"),
        ("missing", "No module named"),
    ],
)
def test_a_failure_is_a_sentence(module: str, sentence: str) -> None:
    """One line that says how it ended."""
    with pytest.raises(ChildFailed, match=sentence) as failure:
        ask(f"child_{module}", {}, wall_s=20)

    assert "\n" not in str(failure.value)


def test_a_child_that_hangs_is_ended() -> None:
    """At the time that was given, not when it likes."""
    began = time.monotonic()

    with pytest.raises(ChildFailed, match="did not finish within 1 s"):
        ask("child_hang", {}, wall_s=1)

    assert time.monotonic() - began < 10


def test_a_child_dies_with_its_parent() -> None:
    """A killed service leaves nothing behind that eats memory."""
    script = (
        "import os, threading, time\n"
        "from edge_app.inference.child import ask\n"
        "threading.Thread(target=lambda: ask('child_hang', {}, wall_s=50), daemon=True).start()\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        ours = _wait_for(lambda: _descendants(parent.pid))
        assert ours
    finally:
        parent.kill()
        parent.wait(10)

    assert _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in ours))


def _descendants(parent: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if f"PPid:\t{parent}\n" in text:
            found.append(int(status.parent.name))
    return found


def _wait_for(condition: Callable[[], T], seconds: float = 20) -> T:
    ends_at = time.monotonic() + seconds
    found = condition()
    while not found and time.monotonic() < ends_at:
        time.sleep(0.05)
        found = condition()
    return found
