"""A power cut in the middle of a change leaves the old state or the new one, never a mix."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("crash_store.py")


MEMORY = Path("/dev/shm")  # noqa: S108 - nothing secret is there


def run(*arguments: str) -> int:
    """How often a process was ended."""
    # In memory where that can be: what is looked for is the order of things, and a disk
    # takes ten thousand fsyncs very slowly.
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        command = [sys.executable, str(SCRIPT), f"{folder}/models", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_every_file_operation_may_be_the_last() -> None:
    """Ended before each write, rename, removal and link in turn, the store is whole every time."""
    assert run("steps") > 60


def test_killed_at_random_moments_the_store_is_whole() -> None:
    """The active version passes its proof, no file is half, no number was given twice."""
    assert run("kills", "30", "1") == 30


@pytest.mark.slow
def test_killed_three_hundred_times_the_store_is_whole() -> None:
    """The same, for longer."""
    assert run("kills", "300", "2") == 300


@pytest.mark.slow
def test_killed_during_real_proofs_the_store_starts_with_a_model_that_passes() -> None:
    """The demo's model in its runtime; `crash_store.py FOLDER proofs 300 1` does it for longer."""
    assert run("proofs", "6", "3") == 6
