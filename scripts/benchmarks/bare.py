"""The bare loop: read, decode, resize, invoke, and nothing else; a child process.

The floor under every figure: what the work itself costs on this machine, written as
plainly as it can be, with none of our code but the import of a runtime. It reads one
JSON line of wishes at a time and answers with one line of milliseconds, so that its
rounds can take turns with those of what it is held against.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.awake import Pace
from benchmarks.processes import set_niceness, set_realtime
from edge_app.inference.interpreter import RUNTIMES


class BareLoop:
    """Talks to the child.

    Args:
        process: It.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def run(self, runs: int, period_s: float = 0.0, pace: Pace | None = None) -> list[float]:
        """Milliseconds of so many runs, one a period, or one after the other."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the bare loop has no pipes")
        until = str(pace.until) if pace is not None and pace.until is not None else None
        wish = {"runs": runs, "period_s": period_s, "until": until}
        stdin.write(json.dumps(wish) + "\n")
        stdin.flush()
        reply = stdout.readline()
        if not reply:
            raise RuntimeError("the bare loop ended")
        times: list[float] = json.loads(reply)
        return times


@contextlib.contextmanager
def bare_loop(
    flatbuffer: Path, frames: Path, runtime: str, threads: int, *, niceness: int, realtime: int = 0
) -> Iterator[BareLoop]:
    """Start the child, at the priority of what it is held against.

    Args:
        flatbuffer: The model.
        frames: The folder of JPEG files.
        runtime: What runs it, with so many `threads`.
        threads: See `runtime`.
        niceness: The child's.
        realtime: Its real-time priority; 0 for none.
    """
    question = [str(flatbuffer), str(frames), runtime, *map(str, (threads, niceness, realtime))]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare", *question],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield BareLoop(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(10)


def main(flatbuffer: str, frames: str, runtime: str, threads: str, *priority: str) -> None:
    """The child's part."""
    niceness, realtime = map(int, priority)
    set_niceness(niceness)
    if realtime:
        set_realtime(realtime)
    tflite: Any = importlib.import_module(RUNTIMES[runtime])
    interpreter = tflite.Interpreter(model_path=flatbuffer, num_threads=int(threads))
    interpreter.allocate_tensors()
    taken = interpreter.get_input_details()[0]
    given = interpreter.get_output_details()[0]
    _, height, width, _ = (int(size) for size in taken["shape"])
    paths = sorted(Path(frames).glob("*.jpg"))

    def once(path: Path) -> int:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        pixels = cv2.cvtColor(small, cv2.COLOR_BGR2RGB)[None].astype(taken["dtype"])
        interpreter.set_tensor(taken["index"], pixels)
        interpreter.invoke()
        return int(interpreter.get_tensor(given["index"]).argmax())

    for number in range(5):
        once(paths[number % len(paths)])
    turn = 0
    for line in sys.stdin:
        wish = json.loads(line)
        times = []
        pace = Pace(Path(wish["until"]) if wish["until"] else None)
        due = time.perf_counter()
        for _ in range(wish["runs"]):
            due += wish["period_s"]
            pace.wait(due)
            began = time.perf_counter()
            once(paths[turn % len(paths)])
            times.append((time.perf_counter() - began) * 1000)
            turn += 1
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
