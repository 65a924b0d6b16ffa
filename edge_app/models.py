"""The model store: what may be on the device's shelf, and what may run.

A model becomes active only after it proved itself on this device, in a child process; a
failed change leaves the old one running and says why.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_app.config import InferenceSettings
from edge_app.inference.acceptance import Proof
from edge_app.inference.acceptance import prove as prove_in_child
from edge_app.inference.bundle import (
    MAX_FILE_BYTES,
    BundleError,
    ModelBundle,
    is_bundle,
    pack_bundle,
    read_bundle,
    unpack_bundle,
)
from edge_app.inference.interpreter import loaded_runtime
from edge_app.inference.tune import Choice, Tuning, fingerprint
from edge_app.inference.tune import tune as tune_in_children
from edge_app.shelf import ModelVersion, Shelf, StoreError, check_name, name_of

if TYPE_CHECKING:
    from edge_app.inference.guess import Told

__all__ = ["ModelStore", "ModelVersion", "Started", "StoreError"]

log = logging.getLogger(__name__)

VERSIONS_KEPT = 10

NO_PIN = Choice("", 0)

START_ATTEMPTS = 2
"""A proof that fails for want of memory or time while everything starts gets a second chance."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a model starts with.

    Args:
        version: The version that proved itself; None if none did.
        problems: A sentence for each version that did not; empty in good times.
    """

    version: ModelVersion | None
    problems: tuple[str, ...] = ()


class Prove(Protocol):
    """Lets a model file prove itself on this device."""

    def __call__(self, path: Path, *, runtime: str, threads: int, quick: bool) -> Proof: ...


Tune = Callable[[Path], Tuning]
"""Measures a model file on this device."""


class ModelStore:
    """The models of one device.

    Args:
        folder: `<data>/models`; made when the first model comes.
        prove: What a version must pass before it becomes active; a seam for tests.
        tune: What measures it then; a seam for tests.
        kept: Versions kept for each name; the oldest idle ones go first.
        loaded: Tells the runtime that this process must stay with; a seam for tests.
        pin: Runtime and threads that are set; empty and 0 leave them to what was measured.
    """

    def __init__(
        self,
        folder: Path,
        prove: Prove = prove_in_child,
        tune: Tune = tune_in_children,
        kept: int = VERSIONS_KEPT,
        *,
        loaded: Callable[[], str] = loaded_runtime,
        pin: Choice = NO_PIN,
    ) -> None:
        self.folder = folder
        self._pin = pin
        self._loaded = loaded
        self._shelf = Shelf(folder, kept)
        self._prove = prove
        self._tune = tune

    @property
    def written_bytes(self) -> int:
        """Bytes of model files written since the start."""
        return self._shelf.written_bytes

    @classmethod
    def of_device(cls, data_dir: Path, pins: InferenceSettings) -> ModelStore:
        """The store of a data directory, with the runtime and threads that are set."""
        return cls(data_dir / "models", pin=Choice(pins.runtime, pins.threads))

    def names(self) -> list[str]:
        """Names of all models that have a version, sorted."""
        return self._shelf.names()

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a model, oldest first; none for a name that is not known."""
        return self._shelf.versions(name)

    def version(self, name: str, version: int | str) -> ModelVersion:
        """One version.

        Raises:
            StoreError: There is no such model or version.
        """
        return self._shelf.version(name, version)

    def active(self, name: str) -> ModelVersion | None:
        """The version that runs; None where none was activated yet."""
        return self._shelf.active(name)

    def earlier(self, name: str) -> list[ModelVersion]:
        """Versions that were active before the one that is, latest first."""
        return self._shelf.earlier(name)

    def changed_at(self, name: str) -> int:
        """When a version was last activated, in nanoseconds; 0 where none is active."""
        return self._shelf.changed_at(name)

    def add(
        self,
        source: Path,
        name: str | None = None,
        told: Told | None = None,
        *,
        sha256: str = "",
    ) -> ModelVersion:
        """Keep a verified copy of a model file; it is not active yet.

        Args:
            source: A model file of ours, or any `.tflite`, which is run once to make
                one of it. The same content again gives the same version back.
            name: What to call it; by default the name in the file, or the file's own.
            told: What a person says of a foreign file.
            sha256: The file's checksum where it comes from; a bare `.tflite` carries none.

        Raises:
            StoreError: The file is damaged, is another one or can't run here, or the disk refuses.
        """
        try:
            size = source.stat().st_size
            if size > MAX_FILE_BYTES:
                raise StoreError(f"{source.name} has {size} bytes; {MAX_FILE_BYTES} are taken")
            content = source.read_bytes()
        except OSError as error:
            raise StoreError(f"can't read {source}: {error.strerror}") from error
        return self.add_content(content, name, told, source=source.name, sha256=sha256)

    def add_content(
        self,
        content: bytes,
        name: str | None = None,
        told: Told | None = None,
        *,
        source: str = "upload.tflite",
        sha256: str = "",
    ) -> ModelVersion:
        """The same as `add` for a file that is in memory, an upload for example."""
        if len(content) > MAX_FILE_BYTES:
            raise StoreError(f"{source} has {len(content)} bytes; {MAX_FILE_BYTES} are taken")
        if sha256 and (found := hashlib.sha256(content).hexdigest()) != sha256.strip().lower():
            raise StoreError(
                f"{source} is not what was meant: expected SHA-256 {sha256}, got {found}"
            )
        try:
            if is_bundle(content):
                if told is not None and told != type(told)():
                    raise StoreError(
                        f"{source} is a Lineside model file and says everything itself; "
                        "what is told of a model is for files from elsewhere"
                    )
                bundle = unpack_bundle(content)
                name = name or bundle.spec.name
            else:
                name = name or name_of(source)
                check_name(name)
                content = _adopted(content, name, told, source)
        except BundleError as error:
            raise StoreError(f"{source} was refused: {error}") from error
        check_name(name)
        return self._shelf.place(name, content)

    def activate(self, name: str, version: int | str, *, measure: bool = True) -> ModelVersion:
        """Let a version run from now on, after it has proved itself.

        Args:
            name: The model.
            version: Its version.
            measure: Whether to find the fastest way to run it first, if that is not
                known for this device; takes some ten seconds.

        Raises:
            StoreError: There is none such, or it failed; what ran before still runs.
        """
        chosen = self.version(name, version)
        self._pass(chosen, measure=measure)
        self._shelf.switch(chosen)
        return chosen

    def rollback(self, name: str) -> ModelVersion:
        """Go back to the version that was active before, after it has proved itself.

        Raises:
            StoreError: There was none, or it fails; what ran before still runs.
        """
        earlier = self._shelf.earlier(name)
        if not earlier:
            raise StoreError(f"model {name} has no earlier active version to go back to")
        self._pass(earlier[0], measure=False)
        self._shelf.go_back(earlier[0])
        return earlier[0]

    def start(self, name: str) -> Started:
        """Let the active version prove itself anew, quickly, and go back to one that can.

        For the start of a program: a disk may have rotted and runtimes may have been
        exchanged since it was activated. What is wrong is logged as an error too.
        """
        started = self._started(name)
        for problem in started.problems:
            log.error("%s", problem)
        return started

    def compare(self, name: str, version: int | str) -> ModelVersion:
        """A version that need not be active, after it has proved itself quickly.

        Raises:
            StoreError: There is none such, or it failed.
        """
        chosen = self.version(name, version)
        refusal = self._quickly(chosen)
        if refusal:
            raise StoreError(f"model {name} version {version} failed its proof: {refusal}")
        return chosen

    def _started(self, name: str) -> Started:
        active, problems = self.active(name), list[str]()
        if active is None:
            problems.append(f"model {name!r} has no active version")
        for version in (*([active] if active else []), *self._shelf.earlier(name)):
            refusal = self._quickly(version)
            if refusal:
                problems.append(f"model {version} failed its proof: {refusal}")
                continue
            if version != active:
                problems.append(self._fallen_back(version))
            return Started(version, tuple(problems))
        return Started(None, tuple(problems))

    def _fallen_back(self, version: ModelVersion) -> str:
        """Let an earlier version run; says what was done."""
        try:
            self._shelf.go_back(version)
        except StoreError as error:
            # A read-only disk, for instance: this program runs it all the same.
            return f"model {version} runs in place of the active one, but {error}"
        return f"model {version.name} went back to version {version.version}"

    def remove(self, name: str, version: int | str) -> None:
        """Delete a version.

        Raises:
            StoreError: There is none such, or it is the active one.
        """
        self._shelf.remove(name, version)

    def load(self, version: ModelVersion) -> ModelBundle:
        """Read and verify a version's file.

        Raises:
            StoreError: It is gone or damaged.
        """
        try:
            return read_bundle(version.path)
        except BundleError as error:
            raise StoreError(f"model {version.name} version {version.version}: {error}") from error

    def choice(self, version: ModelVersion) -> Choice:
        """How this process runs a version: as is set, else as was measured to be fastest.

        Without a measurement that holds here: the default runtime and one thread.

        Raises:
            StoreError: It was measured here, and can't run so.
        """
        runtime, threads = self._pin.runtime or self._loaded(), self._pin.threads
        tuning = self.tuning(version)
        if tuning is None:
            return Choice(runtime, threads or 1)
        best = tuning.best(runtime, threads)
        if best is None and threads not in {row.threads for row in tuning.rows}:
            near = tuning.best(runtime)
            best = Choice(near.runtime, threads) if near else None
        if best is None:
            reasons = [row.problem for row in tuning.rows if runtime in ("", row.runtime)]
            how = f" in {runtime}, which is set or in use here" if runtime else ""
            raise StoreError(f"model {version} can't run{how}: {_joined(reasons)}")
        return best

    def tuning(self, version: ModelVersion) -> Tuning | None:
        """What was measured for a version; None where nothing was, or on another device."""
        entry = self._shelf.tuning(version)
        return entry if entry is not None and entry.device == fingerprint() else None

    def measure(self, name: str, version: int | str) -> Tuning:
        """Measure a version anew and keep the table.

        Raises:
            StoreError: There is none such, or no combination can run it.
        """
        chosen = self.version(name, version)
        try:
            tuning = self._tune(chosen.path)
        except BundleError as error:
            raise StoreError(f"model {name} version {version}: {error}") from error
        tuning = self._proved(chosen, tuning)
        self._shelf.keep_tuning(chosen, tuning)
        if tuning.best() is None:
            reasons = _joined([row.problem for row in tuning.rows])
            raise StoreError(f"model {name} version {version} was refused: {reasons}")
        return tuning

    def _proved(self, version: ModelVersion, tuning: Tuning) -> Tuning:
        """The table after the fastest way in each runtime has proved itself.

        In each, for a process that has loaded one stays with it.
        """
        runtimes = dict.fromkeys(row.runtime for row in tuning.rows)
        for runtime, threads in product(runtimes, {0, self._pin.threads}):
            while (best := tuning.best(runtime, threads)) is not None:
                proof = self._prove(
                    version.path, runtime=best.runtime, threads=best.threads, quick=False
                )
                if not proof.refusal:
                    break
                # Fast, and wrong: the table says so, and the next one has its turn.
                tuning = tuning.without(best, proof.refusal)
        return tuning

    def _pass(self, version: ModelVersion, *, measure: bool) -> None:
        """Raises `StoreError` unless the version proves itself."""
        if measure and self.tuning(version) is None:
            twin = self._twin_s_tuning(version)
            if twin is None:
                self.measure(version.name, version.version)
                self.choice(version)  # what is set must be among the ways that can run it
                return
            self._shelf.keep_tuning(version, twin)
        choice = self.choice(version)
        proof = self._prove(
            version.path, runtime=choice.runtime, threads=choice.threads, quick=False
        )
        if proof.refusal:
            raise StoreError(
                f"model {version.name} version {version.version} was refused: {proof.refusal}"
            )

    def _twin_s_tuning(self, version: ModelVersion) -> Tuning | None:
        """What was measured here for another version that holds the same model."""
        sha256 = self.load(version).sha256
        tunings = (self.tuning(other) for other in self.versions(version.name))
        return next((entry for entry in tunings if entry and entry.sha256 == sha256), None)

    def _quickly(self, version: ModelVersion) -> str:
        try:
            choice, refusal = self.choice(version), ""
        except StoreError as error:
            return str(error)
        for _ in range(START_ATTEMPTS):
            refusal = self._prove(
                version.path, runtime=choice.runtime, threads=choice.threads, quick=True
            ).refusal
            if not refusal:
                break
        return refusal


def _joined(reasons: Iterable[str]) -> str:
    """Each reason once."""
    return "; ".join(dict.fromkeys(filter(None, reasons))) or "no way to run it was measured"


def _adopted(content: bytes, name: str, told: Told | None, source: str) -> bytes:
    """A file from elsewhere as one of ours.

    Raises:
        StoreError: It can't be made one.
    """
    from edge_app.inference.adopt import CannotAdopt, adopt  # noqa: PLC0415 - no line ever needs it

    try:
        return pack_bundle(adopt(content, name, told, source=source))
    except CannotAdopt as error:
        raise StoreError(f"{source} was refused: {error}") from error
