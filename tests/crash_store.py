"""Kill a process in the middle of changing the model store, again and again, and look.

Run as a program: `crash_store.py FOLDER steps` ends the changing process before each of
its operations on files in turn; `crash_store.py FOLDER kills N SEED` ends it by SIGKILL at N
random moments; `crash_store.py FOLDER proofs N SEED` does that with the demo's model, real
runtimes and real proofs. Prints how often it did, and exits with a sentence when anything is
wrong.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import edge_app
from edge_app.inference.acceptance import Proof
from edge_app.inference.bundle import (
    BundleError,
    ModelBundle,
    ModelSpec,
    pack_bundle,
    read_bundle,
)
from edge_app.inference.tasks import Task
from edge_app.inference.tune import Choice, Row, Tuning, fingerprint
from edge_app.inference.tune import tune as tune_in_children
from edge_app.models import ModelStore, StoreError

FILE_EVENTS = {"os.rename", "os.remove", "os.symlink", "os.mkdir", "fcntl.flock"}
FOR_WRITING = os.O_WRONLY | os.O_RDWR
KEPT = 4
DEMO = Path(edge_app.__file__).parent / "demo" / "model.tflite"


@dataclass(frozen=True, slots=True)
class Way:
    """How a store is opened and filled, and how long a change may go on before it is ended."""

    opened: Callable[[Path], ModelStore]
    content: Callable[[int], bytes]
    longest_s: float


def content(number: int) -> bytes:
    """A whole model file that says which one it is."""
    spec = ModelSpec("caps", Task("raw"), (), (), None, made={"number": number})
    return pack_bundle(ModelBundle(b"TFL3" + os.urandom(20_000), spec))


def prove(path: Path, **_: object) -> Proof:
    """A whole file passes."""
    try:
        read_bundle(path)
    except BundleError as error:
        return Proof(str(error))
    return Proof("")


def tune(path: Path) -> Tuning:
    """As if it had been measured."""
    row = Row("litert", 1, 1.0, 1.0, 1)
    return Tuning(fingerprint(), read_bundle(path).sha256, 0.0, (row,))


def opened(folder: Path) -> ModelStore:
    """The store as every program opens it, but for what takes time."""
    return ModelStore(folder, prove, tune, kept=KEPT)


def real_content(number: int) -> bytes:
    """The demo's model, with its golden set, as another file each time."""
    demo = read_bundle(DEMO)
    made = {"number": number, "mark": os.urandom(8).hex()}
    return pack_bundle(replace(demo, spec=replace(demo.spec, name="caps", made=made)))


def real_opened(folder: Path) -> ModelStore:
    """The store as every program opens it, but that one way to run a model is measured."""
    return ModelStore(folder, tune=partial(tune_in_children, choices=[Choice("litert", 1)]))


QUICK = Way(opened, content, 0.06)
REAL = Way(real_opened, real_content, 2.5)
"""A round takes about two seconds: two proofs in child processes."""


def change(store: ModelStore, rounds: int, content: Callable[[int], bytes] = content) -> None:
    """All there is to do with a store."""
    for number in range(rounds):
        version = store.add_content(content(number))
        store.activate("caps", version.version)
        if number % 2 == 1:
            store.rollback("caps")
            idle = [v for v in store.versions("caps") if v != store.active("caps")]
            store.remove("caps", idle[0].version)


def look(
    folder: Path, seen: dict[int, str], had_active: bool, opened: Callable[[Path], ModelStore]
) -> bool:
    """Whether a version is active; ends the program if anything is wrong.

    Args:
        folder: The store's.
        seen: Which content each version number had so far.
        had_active: Whether one was active before.
        opened: Opens the store.
    """
    store = opened(folder)
    for version in store.versions("caps"):
        bundle = store.load(version)  # raises on half a file
        if seen.setdefault(version.version, bundle.sha256) != bundle.sha256:
            sys.exit(f"version {version.version} was given twice")
    active = store.active("caps")
    if active is None:
        if had_active:
            sys.exit("the active version got lost")
        return False
    started = store.start("caps")
    if started.version != active or started.problems:
        sys.exit(f"the active version does not start: {started.problems}")
    return True


def steps(folder: Path) -> int:
    """End the changing process before each of its operations on files in turn."""
    seen: dict[int, str] = {}
    had_active, step, ended = False, 0, True
    while ended:
        step += 1
        pid = os.fork()
        if pid == 0:
            _end_before(step)
            change(opened(folder), 2)
            os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
        had_active = look(folder, seen, had_active, opened)
    return step


def _end_before(step: int) -> None:
    count = 0

    def watch(event: str, details: tuple[object, ...]) -> None:
        nonlocal count
        opens = event == "open" and int(str(details[2])) & FOR_WRITING
        if opens or event in FILE_EVENTS:
            count += 1
            if count == step:
                os._exit(9)

    sys.addaudithook(watch)


def kills(folder: Path, count: int, seed: int, way: Way = QUICK) -> int:
    """End the changing process by SIGKILL at random moments."""
    moments = random.Random(seed)  # noqa: S311 - no secret
    seen: dict[int, str] = {}
    had_active = False
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            change(way.opened(folder), 1000, way.content)
            os._exit(0)
        time.sleep(moments.uniform(0.0, way.longest_s))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        had_active = look(folder, seen, had_active, way.opened)
    return count


def proofs(folder: Path, count: int, seed: int) -> int:
    """The same with real proofs; the first version is measured in peace."""
    store = real_opened(folder)
    version = store.add_content(real_content(0))
    store.activate("caps", version.version)
    return kills(folder, count, seed, REAL)


if __name__ == "__main__":
    where, what, *numbers = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
    ways: dict[str, Callable[..., int]] = {"steps": steps, "kills": kills, "proofs": proofs}
    try:
        done = ways[what](where, *numbers)
    except StoreError as problem:
        sys.exit(f"the store is broken: {problem}")
    sys.stdout.write(f"{done}\n")
