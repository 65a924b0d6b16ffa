"""Work in a process of its own: native crashes and native log noise stay there.

TensorFlow and the TFLite runtimes can't share a process (their symbols mix), TensorFlow
writes to the terminal from C++, and a bad model can crash either. So each lives in a
child that ignores Ctrl-C, writes its noise to the log file, and is killed by its owner.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from convert.errors import KINDS, CannotConvert, ConvertError, one_line

Progress = Callable[[int, int], None]
"""Called with how many are done, and of how many."""

P = ParamSpec("P")
T = TypeVar("T")


def silent(done: int, total: int) -> None:
    """A progress that nobody watches."""


class Child:
    """One process that runs functions for us, one after the other.

    Args:
        name: For messages, e.g. `TensorFlow`.
        log: Its standard output and error are appended to this file.
        scratch: Its temporary files go here: it is killed and can't clear them away.
    """

    def __init__(self, name: str, log: Path, scratch: Path | None = None) -> None:
        self.name = name
        self._log = log
        self._scratch = scratch or Path(tempfile.gettempdir())
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it now, so that its imports overlap with other work."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        places = str(self._log), str(self._scratch)
        self._process = context.Process(
            target=_serve, args=(theirs, *places), name=self.name, daemon=True
        )
        # Until it ignores Ctrl-C itself: its traceback would come to the terminal.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def stop(self) -> None:
        """End it at once, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None

    def call(
        self,
        function: Callable[Concatenate[Progress, P], T],
        progress: Progress,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a module-level function there; it gets a `Progress` first.

        Raises:
            ConvertError: What the function raised, or that the process died in it. A
                process that died is started anew for the next call.
        """
        if self._process is None or self._pipe is None:
            self.start()
        assert self._pipe is not None  # noqa: S101 - start() made it; said for the type checker
        self._pipe.send((function, args, kwargs))
        while True:
            try:
                kind, payload = self._pipe.recv()
            except (EOFError, OSError):
                raise self._death() from None
            if kind == "progress":
                progress(*payload)
            elif kind == "done":
                result: T = payload
                return result
            else:
                raise KINDS.get(kind, CannotConvert)(payload)

    def _death(self) -> CannotConvert:
        process = self._process
        assert process is not None  # noqa: S101 - it was there a moment ago
        process.join(5)
        code = process.exitcode
        self.stop()
        if code is not None and code < 0:
            how = f"crashed with {signal.Signals(-code).name}"
        else:
            how = f"ended with status {code}"
        return CannotConvert(f"{self.name} {how}; its last words are in {self._log}")


def _serve(pipe: Connection, log: str, scratch: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TMPDIR"] = scratch
    # The C++ side writes to the file descriptors, past sys.stderr.
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    while True:
        try:
            function, args, kwargs = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(_answer(pipe, function, args, kwargs))


def _answer(pipe: Connection, function: Any, args: Any, kwargs: Any) -> tuple[str, Any]:
    try:
        return "done", function(lambda *at: pipe.send(("progress", at)), *args, **kwargs)
    except ConvertError as error:
        return type(error).__name__, str(error)
    except MemoryError:
        return "CannotConvert", "there is not enough memory for this model"
    # The log keeps the traceback.
    except Exception as error:  # noqa: BLE001 - the edge of a process that runs native code
        traceback.print_exc()
        sys.stderr.flush()
        return "CannotConvert", f"{type(error).__name__}: {one_line(error)}"
