"""What goes wrong, at random: programs die or freeze, the disk fills, the parts run out."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator

from benchmarks.clients import ask
from benchmarks.soak.actors import dawdle
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.stage import MODEL, Stage
from edge_app.lines import LineDown, Lines
from edge_app.models import ModelStore, StoreError

BACK_S = 20.0
"""A program that was killed or frozen must answer again within this."""

PERIOD_S = 6.0
"""Mean pause between two faults."""

SETTLE_S = 1.0
CALM_SHARE = 0.7
"""In this share of the time nothing is killed, so that memory can be watched for long."""


class Faults:
    """Makes one fault at a time, and waits until all is well again.

    Args:
        stage: What is disturbed.
        ledger: Where it is noted.
        rng: Chooses.
        whole_s: How long the soak is.
    """

    def __init__(self, stage: Stage, ledger: Ledger, rng: random.Random, whole_s: float) -> None:
        self._stage, self._ledger, self._rng = stage, ledger, rng
        self._calm_s = whole_s * CALM_SHARE
        self._store = ModelStore(stage.data / "models")
        self._lines = Lines(stage.settings.socket_dir, ["cam1", "cam2"])
        self._version = 0
        self._bag: list[Callable[[], None]] = []
        self._kinds = 0

    def run(self) -> None:
        """Until the end."""
        while not self._stage.stopping.wait(self._rng.uniform(0.5, 1.5) * PERIOD_S):
            fault = self._next()
            self._ledger.note(fault.__name__.strip("_"))
            self._ledger.count(f"fault: {fault.__name__.strip('_')}")
            fault()

    def _next(self) -> Callable[[], None]:
        """All have their turn in a shuffled order before one comes again."""
        possible = self._possible()
        if not self._bag or len(possible) != self._kinds:
            self._bag = self._rng.sample(possible, len(possible))
            self._kinds = len(possible)
        return self._bag.pop()

    def _possible(self) -> list[Callable[[], None]]:
        gentle = [
            self._freeze_line,
            self._freeze_app,
            self._no_parts,
            self._swap_model,
            self._swap_model,
            self._bad_model,
            self._slow_clients,
        ]
        if self._stage.small_disk:
            gentle.append(self._full_disk)
        if self._ledger.at_s() < self._calm_s:
            return gentle
        return [*gentle, self._kill_line, self._kill_app, self._kill_line, self._kill_app]

    @contextlib.contextmanager
    def _disturbing(self) -> Iterator[None]:
        self._stage.disturbed.set()
        try:
            yield
        finally:
            time.sleep(SETTLE_S)
            self._stage.disturbed.clear()

    def _kill_line(self) -> None:
        self._signal("cam1", signal.SIGKILL)

    def _kill_app(self) -> None:
        self._signal("app", signal.SIGKILL)

    def _freeze_line(self) -> None:
        self._signal("cam1", signal.SIGSTOP, self._rng.uniform(0.1, 2.0))

    def _freeze_app(self) -> None:
        self._signal("app", signal.SIGSTOP, self._rng.uniform(0.5, 3.0))

    def _signal(self, name: str, number: signal.Signals, seconds: float = 0.0) -> None:
        pid = self._stage.pid(name)
        if pid is None:
            return
        with self._disturbing():
            os.kill(pid, number)
            if number is signal.SIGSTOP:
                time.sleep(seconds)
                os.kill(pid, signal.SIGCONT)
            else:
                time.sleep(0.5)
            self._until_back(name)

    def _until_back(self, name: str) -> None:
        began = time.monotonic()
        while time.monotonic() - began < BACK_S:
            if self._well(name):
                self._ledger.count(f"{name} back", 1)
                return
            time.sleep(0.05)
        load = os.getloadavg()[0]
        self._ledger.violate("not-back", f"{name} after {BACK_S:.0f} s; load average {load:.1f}")

    def _well(self, name: str) -> bool:
        if name == "app":
            return ask(self._stage.settings.app.port, "GET", "/health", timeout_s=1)[0] == 200
        try:
            return self._lines.ask(name, "GET", "/status").json()["closed"] is None
        except (LineDown, ValueError):
            return False

    def _no_parts(self) -> None:
        with self._disturbing():
            self._stage.bare.set()
            time.sleep(self._rng.uniform(0.5, 2.0))
            self._stage.bare.clear()

    def _full_disk(self) -> None:
        """Nothing more fits, for some seconds."""
        filler = self._stage.data / "filler"
        with self._disturbing():
            try:
                with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                    while file.write(bytes(1 << 20)):
                        pass
                time.sleep(self._rng.uniform(1.0, 4.0))
            finally:
                filler.unlink(missing_ok=True)

    def _swap_model(self) -> None:
        self._version = 1 - self._version
        version = self._stage.versions[self._version]
        try:
            self._store.activate(MODEL, version, measure=False)
            self._lines.ask("cam1", "POST", "/reload", timeout_s=5)
        except (StoreError, LineDown) as error:
            self._ledger.count("swaps refused")
            self._ledger.note(f"swap refused: {error}")

    def _bad_model(self) -> None:
        good = self._store.version(MODEL, self._stage.versions[0]).path.read_bytes()
        place = self._rng.randrange(len(good))
        damaged = good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :]
        content = self._rng.choice([b"no model", good[: len(good) // 2], damaged])
        try:
            self._store.add_content(content, "bad")
        except StoreError:
            self._ledger.count("bad models refused")
            return
        except OSError as error:
            self._ledger.note(f"bad model: {error}")
            return
        self._ledger.violate("bad-model", f"{len(content)} bytes damaged at {place} were stored")

    def _slow_clients(self) -> None:
        dawdle(self._stage, self._ledger, self._rng.uniform(2.0, 5.0))
