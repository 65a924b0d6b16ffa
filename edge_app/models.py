"""The model store: every version kept, one active, and a power cut can't confuse it.

`<folder>/<name>/<version>.tflite` are the model files, never changed once they are
there. `active` is a symbolic link to one of them and the only truth about which one
runs. `history.json` lists what was active, for rolling back; `counter` is the last
number given, so that none is used twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_app.inference.bundle import (
    MAX_FILE_BYTES,
    BundleError,
    ModelBundle,
    read_bundle,
    unpack_bundle,
)
from edge_app.inference.durable import PARTIAL_SUFFIX, link_durably, sync_folder, write_durably

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a model may be called: it becomes a folder, a path of the API and a word for the PLC."""

VERSIONS_KEPT = 10
LOCK_WAIT_S = 60.0
"""Longer than any copy takes; a writer that needs more has hung."""

ACTIVE, HISTORY, COUNTER, LOCK = "active", "history.json", "counter", ".lock"


class StoreError(Exception):
    """The store refuses; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One model file in the store."""

    name: str
    version: int
    path: Path


Prove = Callable[[ModelVersion], str]
"""Lets a version prove itself on this device; returns why it may not run, empty if it may."""


def read_proof(version: ModelVersion) -> str:
    """The least proof: the file is whole."""
    try:
        read_bundle(version.path)
    except BundleError as error:
        return str(error)
    return ""


class ModelStore:
    """The models of one device.

    Any number of processes may use the same folder: reading takes no lock, and
    changes take one that the kernel drops when its holder dies.

    Args:
        folder: `<data>/models`; made when the first model comes.
        prove: What a version must pass before it becomes active.
        kept: Versions kept for each name; the oldest idle ones go first.
    """

    def __init__(self, folder: Path, prove: Prove = read_proof, kept: int = VERSIONS_KEPT) -> None:
        self.folder = folder
        self._prove = prove
        self._kept = kept

    def names(self) -> list[str]:
        """Names of all models that have a version, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(
            entry.name
            for entry in self.folder.iterdir()
            if NAME.fullmatch(entry.name) and self.versions(entry.name)
        )

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a model, oldest first; none for a name that is not known."""
        if not NAME.fullmatch(name):
            return []
        folder = self.folder / name
        found = [int(path.stem) for path in folder.glob("*.tflite") if path.stem.isdecimal()]
        return [ModelVersion(name, number, folder / f"{number}.tflite") for number in sorted(found)]

    def version(self, name: str, version: int | str) -> ModelVersion:
        """One version.

        Raises:
            StoreError: There is no such model or version.
        """
        known = self.versions(name)
        for entry in known:
            if str(entry.version) == str(version):
                return entry
        if not known:
            names = ", ".join(self.names()) or "none"
            raise StoreError(f"there is no model {name!r}; there are: {names}")
        numbers = ", ".join(str(entry.version) for entry in known)
        raise StoreError(f"model {name} has no version {version}; it has: {numbers}")

    def active(self, name: str) -> ModelVersion | None:
        """The version that runs; None where none was activated yet."""
        link = self.folder / name / ACTIVE
        target = link.readlink().name if link.is_symlink() else ""
        return next((v for v in self.versions(name) if v.path.name == target), None)

    def add(self, source: Path, name: str | None = None) -> ModelVersion:
        """Keep a verified copy of a model file; it is not active yet.

        Args:
            source: The file; the same content again gives the same version back.
            name: What to call it; the file's own name for itself otherwise.

        Raises:
            StoreError: The file is damaged or no model file of ours, or the disk refuses.
        """
        try:
            size = source.stat().st_size
            if size > MAX_FILE_BYTES:
                raise StoreError(f"{source.name} has {size} bytes; {MAX_FILE_BYTES} are taken")
            content = source.read_bytes()
        except OSError as error:
            raise StoreError(f"can't read {source}: {error.strerror}") from error
        return self.add_content(content, name)

    def add_content(self, content: bytes, name: str | None = None) -> ModelVersion:
        """The same as `add` for a file that is in memory, an upload for example."""
        try:
            name = name or unpack_bundle(content).spec.name
        except BundleError as error:
            raise StoreError(str(error)) from error
        if not NAME.fullmatch(name):
            raise StoreError(
                f"{name!r} can't be a model's name: expected up to 64 letters, digits, "
                "'.', '_' or '-', beginning with a letter or digit"
            )
        try:
            with self._changing():
                return self._placed(name, content)
        except OSError as error:
            raise StoreError(f"can't store {name}: {error.strerror}") from error

    def activate(self, name: str, version: int | str) -> ModelVersion:
        """Let a version run from now on, after it has proved itself.

        Raises:
            StoreError: There is none such, or it failed; what ran before still runs.
        """
        chosen = self.version(name, version)
        reason = self._prove(chosen)
        if reason:
            raise StoreError(f"model {name} version {version} was refused: {reason}")
        with self._changing():
            self.version(name, version)  # it may have been removed while it was proving itself
            history = self._history(name)
            if not history or history[-1] != chosen.version:
                history.append(chosen.version)
            # The list first: cut off here, the old version is active and its place in
            # the list is found all the same.
            self._write_history(name, history)
            link_durably(self.folder / name / ACTIVE, chosen.path.name)
        return chosen

    def rollback(self, name: str) -> ModelVersion:
        """Go back to the version that was active before, after it has proved itself.

        Raises:
            StoreError: There was none, or it fails; what ran before still runs.
        """
        before = self._before(name)
        if before is None:
            raise StoreError(f"model {name} has no earlier active version to go back to")
        reason = self._prove(before)
        if reason:
            raise StoreError(f"model {name} version {before.version} was refused: {reason}")
        with self._changing():
            # The link first: cut off here, the version is active and found in the list.
            link_durably(self.folder / name / ACTIVE, before.path.name)
            self._write_history(name, _up_to_last(self._history(name), before.version))
        return before

    def remove(self, name: str, version: int | str) -> None:
        """Delete a version.

        Raises:
            StoreError: There is none such, or it is the active one.
        """
        with self._changing():
            entry = self.version(name, version)
            if self.active(name) == entry:
                raise StoreError(f"model {name} version {version} is active; activate another")
            entry.path.unlink()
            sync_folder(entry.path.parent)

    def load(self, version: ModelVersion) -> ModelBundle:
        """Read and verify a version's file.

        Raises:
            StoreError: It is gone or damaged.
        """
        try:
            return read_bundle(version.path)
        except BundleError as error:
            raise StoreError(f"model {version.name} version {version.version}: {error}") from error

    def _placed(self, name: str, content: bytes) -> ModelVersion:
        folder = self.folder / name
        digest = hashlib.sha256(content).digest()
        for entry in self.versions(name):
            if hashlib.sha256(entry.path.read_bytes()).digest() == digest:
                return entry
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(self.folder)
        number = self._next_number(name)
        # The counter first: cut off here, a number is skipped, but none is given twice.
        write_durably(folder / COUNTER, str(number).encode())
        write_durably(folder / f"{number}.tflite", content)
        self._drop_oldest(name)
        return self.version(name, number)

    def _next_number(self, name: str) -> int:
        counter = self.folder / name / COUNTER
        given = counter.read_text() if counter.is_file() else "0"
        numbers = [entry.version for entry in self.versions(name)]
        return max([int(given) if given.isdecimal() else 0, *numbers]) + 1

    def _drop_oldest(self, name: str) -> None:
        keep = {self.active(name), self._before(name)}
        versions = self.versions(name)
        idle = [entry for entry in versions[:-1] if entry not in keep]
        for entry in idle[: max(0, len(versions) - self._kept)]:
            entry.path.unlink()
        sync_folder(self.folder / name)

    def _before(self, name: str) -> ModelVersion | None:
        active = self.active(name)
        history = self._history(name)
        if active is None:
            return None
        known = {entry.version: entry for entry in self.versions(name)}
        earlier = [
            n for n in _up_to_last(history, active.version) if n in known and n != active.version
        ]
        return known[earlier[-1]] if earlier else None

    def _history(self, name: str) -> list[int]:
        path = self.folder / name / HISTORY
        try:
            return [int(number) for number in json.loads(path.read_bytes())]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError):
            # Only good for rolling back; a damaged list must not stop anything else.
            return []

    def _write_history(self, name: str, history: list[int]) -> None:
        content = json.dumps(history[-self._kept * 2 :]).encode()
        write_durably(self.folder / name / HISTORY, content)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One change at a time over all processes; leftovers of dead ones are swept first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("w") as lock:
            _take(lock.fileno(), LOCK_WAIT_S)
            for leftover in self.folder.glob(f"*/.*{PARTIAL_SUFFIX}"):
                leftover.unlink(missing_ok=True)
            yield


def _up_to_last(history: list[int], version: int) -> list[int]:
    """The list up to where the version stands last, that one included."""
    places = [place for place, number in enumerate(history) if number == version]
    return history[: places[-1] + 1] if places else [version]


def _take(descriptor: int, wait_s: float) -> None:
    ends_at = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ends_at:
                message = f"another process has been changing the models for {wait_s:.0f} s"
                raise StoreError(message) from None
            time.sleep(0.02)
        else:
            return
