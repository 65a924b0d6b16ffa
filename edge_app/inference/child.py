"""One question to a child process: whatever a model does there, this process lives on.

A bad model can crash its runtime, hang in it or take all memory; and one process holds
one runtime only. The child has limits, low priority, and dies with its parent.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREAD_BYTES = 80 * 1024 * 1024
"""Address space that a thread reserves for its stack and its heap, most of it never used."""

MEMORY_BYTES = 1536 * 1024 * 1024 + THREAD_BYTES * (os.cpu_count() or 1)
"""Address space for a child. Python, OpenCV and a runtime take 0.3 to 0.5 GB of it, and a model
may be measured with a thread for each processor."""

QUIET = 19
"""Niceness of a child: beside the line it gets what is left over."""

PR_SET_PDEATHSIG = 1
MAX_REPLY_BYTES = 64 * 1024 * 1024
PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent


class ChildFailed(Exception):  # noqa: N818 - read as a sentence where it is raised
    """The child crashed, hung or would not answer; the message says which."""


def ask(
    module: str,
    question: dict[str, Any],
    *,
    wall_s: float,
    memory_bytes: int = MEMORY_BYTES,
    niceness: int = QUIET,
) -> dict[str, Any]:
    """Run a module of ours in a child process and give it one question.

    Args:
        module: Its name; its main part calls `answer`.
        question: Anything JSON can hold.
        wall_s: Seconds until the child is killed.
        memory_bytes: Address space it may use.
        niceness: 0 to 19; more is lower priority.

    Returns:
        The child's answer.

    Raises:
        ChildFailed: It crashed, hung, or ran out of memory.
    """
    limits = {"memory_bytes": memory_bytes, "parent": os.getpid()}
    # By `nice`, not by itself: most of a child's work is its imports, before it could.
    low = ["nice", "-n", str(niceness)]
    command = [*low, sys.executable, "-P", "-m", module, json.dumps(limits)]
    # With -P the working folder holds no modules for the child; ours are found by this.
    paths = os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            command,
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=wall_s,
            check=False,
            # numpy would keep a thread for each processor, and has nothing to do for them here.
            env=os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"it did not finish within {wall_s:.0f} s") from None
    except OSError as error:
        raise ChildFailed(f"no process could be started for it: {error.strerror}") from error
    if done.returncode != 0 or len(done.stdout) > MAX_REPLY_BYTES:
        raise ChildFailed(_cause(done.returncode, done.stderr.decode("utf-8", "replace")))
    try:
        reply: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise ChildFailed("its process gave no answer") from None
    return reply


def _cause(status: int, noise: str) -> str:
    lines = [line.strip() for line in noise.splitlines() if line.strip()]
    last = lines[-1][:200] if lines else "no message"
    if "MemoryError" in last or "bad_alloc" in noise:
        return "it needs more memory than it may have"
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
        return f"its process was ended by {name}: {last}"
    return f"its process failed: {last}"


def answer(reply: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The child's main part: read one question, obey the limits, write the answer."""
    limits = json.loads(sys.argv[1])
    _die_with_parent(limits["parent"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"], limits["memory_bytes"]))
    # What a runtime prints may not get into the answer.
    sys.stdout.flush()
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    content = json.dumps(reply(json.loads(sys.stdin.buffer.read()))).encode()
    pipe.write(content)
    pipe.flush()
    # A runtime's own tidying up at the end is none of the answer's business.
    sys.stderr.flush()
    os._exit(0)


def _die_with_parent(parent: int) -> None:
    library = ctypes.CDLL(None)
    library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
