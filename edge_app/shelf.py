"""The files of the model store: no half file, no number twice, one truth about what runs.

`<folder>/<name>/<version>.tflite` are the model files, never changed once they are
there. `active` is a symbolic link to one of them and the only truth about which one
runs. `history.json` lists what was active, for going back; `counter` is the last number
given, so that none is used twice; `tuning.json` holds what was measured here. Every
change is one rename, in an order in which a power cut between any two leaves the old
state or the new one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_app.inference.durable import PARTIAL_SUFFIX, link_durably, sync_folder, write_durably
from edge_app.inference.tune import Tuning
from edge_app.turn import take

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a model may be called: it becomes a folder, a path of the API and a word for the PLC."""

LOCK_WAIT_S = 60.0
"""Longer than any change takes; a writer that needs more has hung."""

ACTIVE, HISTORY, COUNTER = "active", "history.json", "counter"
TUNING, LOCK = "tuning.json", ".lock"


class StoreError(Exception):
    """The store refuses; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One model file in the store."""

    name: str
    version: int
    path: Path

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


class Shelf:
    """The model files of one device.

    Any number of processes may use the same folder: reading takes no lock, and
    changes take one that the kernel drops when its holder dies.

    Args:
        folder: `<data>/models`; made when the first model comes.
        kept: Versions kept for each name; the oldest idle ones go first.
    """

    def __init__(self, folder: Path, kept: int) -> None:
        self.folder = folder
        self.written_bytes = 0
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
        if not NAME.fullmatch(name):
            return None
        try:
            target = (self.folder / name / ACTIVE).readlink().name
        except OSError:
            return None
        return next((v for v in self.versions(name) if v.path.name == target), None)

    def changed_at(self, name: str) -> int:
        """When the link to the active version was made, in nanoseconds; 0 without one."""
        try:
            return (self.folder / name / ACTIVE).lstat().st_mtime_ns
        except OSError:
            return 0

    def place(self, name: str, content: bytes) -> ModelVersion:
        """Keep a file as a new version, or give back the one that has this content.

        Raises:
            StoreError: The disk refuses.
        """
        digest = hashlib.sha256(content).digest()
        with self._changing(name):
            for entry in self.versions(name):
                if hashlib.sha256(entry.path.read_bytes()).digest() == digest:
                    return entry
            number = self._next_number(name)
            # The counter first: cut off here, a number is skipped, but none is given twice.
            write_durably(self.folder / name / COUNTER, str(number).encode())
            write_durably(self.folder / name / f"{number}.tflite", content)
            self.written_bytes += len(content)
            self._drop_oldest(name)
        return self.version(name, number)

    def switch(self, version: ModelVersion) -> None:
        """Make a version the active one.

        Raises:
            StoreError: It is gone by now, or the disk refuses.
        """
        name = version.name
        with self._changing(name):
            self.version(name, version.version)
            history = self._history(name)
            if not history or history[-1] != version.version:
                history.append(version.version)
            # The list first: cut off here, the old version is active and its place in
            # the list is found all the same.
            self._write_history(name, history)
            link_durably(self.folder / name / ACTIVE, version.path.name)

    def go_back(self, version: ModelVersion) -> None:
        """Make a version the active one that was so before; what came after it is forgotten.

        Raises:
            StoreError: It is gone by now, or the disk refuses.
        """
        name = version.name
        with self._changing(name):
            self.version(name, version.version)
            # The link first: cut off here, the version is active and found in the list.
            link_durably(self.folder / name / ACTIVE, version.path.name)
            self._write_history(name, _up_to_last(self._history(name), version.version))

    def remove(self, name: str, version: int | str) -> None:
        """Delete a version.

        Raises:
            StoreError: There is none such, or it is the active one.
        """
        entry = self.version(name, version)
        with self._changing(name):
            if self.active(name) == entry:
                raise StoreError(f"model {name} version {version} is active; activate another")
            entry.path.unlink(missing_ok=True)
            sync_folder(entry.path.parent)

    def earlier(self, name: str) -> list[ModelVersion]:
        """Versions that were active before the one that is, latest first.

        Where the active one's file is gone, all that ever were.
        """
        if not NAME.fullmatch(name):
            return []
        active, numbers = self.active(name), self._history(name)
        if active is not None:
            numbers = _up_to_last(numbers, active.version)[:-1]
        known = {entry.version: entry for entry in self.versions(name)}
        return [
            known[number]
            for number in dict.fromkeys(reversed(numbers))
            if number in known and known[number] != active
        ]

    def tuning(self, version: ModelVersion) -> Tuning | None:
        """What was measured for a version, on whatever device; None where nothing was."""
        return self._tunings(version.name).get(str(version.version))

    def keep_tuning(self, version: ModelVersion, tuning: Tuning) -> None:
        """Keep what was measured for a version beside it.

        Raises:
            StoreError: The disk refuses.
        """
        with self._changing(version.name):
            known = {str(entry.version) for entry in self.versions(version.name)}
            tunings = self._tunings(version.name) | {str(version.version): tuning}
            document = {v: entry.to_json() for v, entry in tunings.items() if v in known}
            content = json.dumps(document, indent=1).encode()
            write_durably(version.path.parent / TUNING, content)

    def _next_number(self, name: str) -> int:
        try:
            given = int((self.folder / name / COUNTER).read_text())
        except (OSError, ValueError):
            given = 0
        return max([given, *(entry.version for entry in self.versions(name))]) + 1

    def _drop_oldest(self, name: str) -> None:
        keep = {self.active(name), *self.earlier(name)[:1]}
        versions = self.versions(name)
        idle = [entry for entry in versions[:-1] if entry not in keep]
        for entry in idle[: max(0, len(versions) - self._kept)]:
            entry.path.unlink()
        sync_folder(self.folder / name)

    def _history(self, name: str) -> list[int]:
        try:
            return [
                int(number) for number in json.loads((self.folder / name / HISTORY).read_text())
            ]
        except (OSError, ValueError, TypeError):
            # Only good for rolling back; a damaged list must not stop anything else.
            return []

    def _write_history(self, name: str, history: list[int]) -> None:
        content = json.dumps(history[-self._kept * 2 :]).encode()
        write_durably(self.folder / name / HISTORY, content)

    def _tunings(self, name: str) -> dict[str, Tuning]:
        try:
            document = json.loads((self.folder / name / TUNING).read_text())
            return {version: Tuning.from_json(entry) for version, entry in document.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            # Without it the defaults serve, and the next activation measures again.
            return {}

    @contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """One change at a time over all processes; leftovers of dead ones are swept first.

        Raises:
            StoreError: The disk refuses, or another process holds on for too long.
        """
        try:
            folder = self.folder / name
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self.folder)
            with (self.folder / LOCK).open("w") as lock:
                if not take(lock.fileno(), alone=True, within_s=LOCK_WAIT_S):
                    long = f"{LOCK_WAIT_S:.0f} s"
                    raise StoreError(f"another process has been changing the models for {long}")
                for leftover in folder.glob(f".*{PARTIAL_SUFFIX}"):
                    leftover.unlink(missing_ok=True)
                yield
        except OSError as error:
            raise StoreError(f"the disk refuses to change {name}: {error.strerror}") from error


def name_of(file_name: str) -> str:
    """A model's name made of a file's: what may not be in one becomes `-`."""
    stem = file_name.removesuffix(".tflite")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64] or "model"


def check_name(name: str) -> None:
    """Raises `StoreError` unless a model may be called so."""
    if not NAME.fullmatch(name):
        raise StoreError(
            f"{name!r} can't be a model's name: expected up to 64 letters, digits, "
            "'.', '_' or '-', beginning with a letter or digit"
        )


def _up_to_last(history: list[int], version: int) -> list[int]:
    """The list up to where the version stands last, that one included."""
    places = [place for place, number in enumerate(history) if number == version]
    return history[: places[-1] + 1] if places else [version]
