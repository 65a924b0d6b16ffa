"""Work in a process of its own."""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Any

import pytest

from convert.calibration import Samples
from convert.child import Child, silent
from convert.errors import CannotConvert
from convert.proof import run


class Crash:
    """Kills the process that unpickles it, as a bug in native code would."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


def test_a_crash_is_an_error_with_the_signal_in_it(tmp_path: Path) -> None:
    """The parent lives on, and the next call finds a new process."""
    with Child("the runtime", tmp_path / "log") as child:
        with pytest.raises(CannotConvert, match="the runtime crashed with SIGABRT"):
            child.call(operator.methodcaller("__call__"), silent, Crash())
        assert child.call(operator.methodcaller("__call__", 1, 1), silent) is None


def test_progress_comes_back(tmp_path: Path) -> None:
    """What the function tells of its progress arrives here."""
    seen: list[tuple[int, int]] = []
    with Child("it", tmp_path / "log") as child:
        child.call(operator.methodcaller("__call__", 3, 7), lambda *at: seen.append(at))
    assert seen == [(3, 7)]


def test_an_unforeseen_error_is_a_sentence_here_and_a_traceback_in_the_log(tmp_path: Path) -> None:
    """Nobody at the terminal sees a traceback; whoever looks for the cause finds it."""
    with (
        Child("it", tmp_path / "log") as child,
        pytest.raises(CannotConvert, match=r"AttributeError: .*nonsense"),
    ):
        child.call(operator.methodcaller("nonsense"), silent)
    assert "Traceback" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_bytes_that_are_no_model_are_refused(tmp_path: Path, runtime: str) -> None:
    """The runtime's refusal comes out of its process as our error."""
    samples = Samples({}, None)
    with Child(runtime, tmp_path / "log") as child, pytest.raises(CannotConvert, match=runtime):
        child.call(run, silent, b"no model at all", runtime, samples)
