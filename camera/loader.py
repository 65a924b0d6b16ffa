"""Loads jobs beside the inspection loop, and keeps the preloaded ones warm for a quick switch."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_app.config import InferenceSettings
from edge_app.inference.engine import Engine
from edge_app.inference.judge import Limits
from edge_app.jobs import Job, JobStore, job_crc
from edge_app.models import ModelStore, ModelVersion, StoreError

MAX_PRELOADED = 8
"""Each holds an interpreter: some megabytes for a small model, some hundred for a large one."""

PAUSE_S = 0.1
"""How long a step of loading waits for a moment between two parts."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedJob:
    """A job whose model has proved itself, is warm and can be switched to between two frames.

    Args:
        job: The recipe.
        engine: Its model.
        model: Name and version, e.g. `flange/3`.
        limits: What to judge by: the job's own, else the model's.
        crc: CRC-16 of recipe and model, so that a PLC sees when either was changed.
    """

    job: Job
    engine: Engine
    model: str
    limits: Limits
    crc: int = 0


class JobShelf:
    """The jobs and models of one data directory, as the line loads them.

    Args:
        data_dir: Where `jobs` and `models` lie.
        inference: How models are run.
        pause: Waits for a moment between two parts, at most so many seconds. Each step holds
            Python's lock for some milliseconds.
    """

    def __init__(
        self,
        data_dir: Path,
        inference: InferenceSettings,
        pause: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._jobs = JobStore(data_dir / "jobs")
        self._models = ModelStore.of_device(data_dir, inference)
        self._pause = pause
        self._started: set[str] = set()

    def load(self, number: int) -> LoadedJob:
        """A job with a warm engine of its model's active version.

        Raises:
            JobError: There is no such job, or its file is wrong.
            StoreError: Its model has no active version.
            BundleError: The model file is damaged.
            ModelFailed: The runtime refuses the model.
        """
        job = self._jobs.load(number)
        version = self._version(job.model)
        self._pause(PAUSE_S)
        bundle = self._models.load(version)
        choice = self._models.choice(version)
        self._pause(PAUSE_S)
        engine = Engine(bundle, choice.runtime, choice.threads)
        engine.warm()
        limits = job.limits or bundle.spec.limits
        name = f"{version.name}/{version.version}"
        return LoadedJob(job, engine, name, limits, job_crc(job, bundle.sha256))

    def _version(self, name: str) -> ModelVersion:
        """The active version; at this program's first use of it, once it proved itself anew."""
        if name in self._started and (active := self._models.active(name)) is not None:
            return active
        started = self._models.start(name)
        if started.version is None:
            raise StoreError("; ".join(started.problems))
        self._started.add(name)
        return started.version

    def stamp(self, number: int) -> Hashable:
        """What changes when the recipe or its active model does; None when it can't be told.

        Raises:
            JobError: As `load`.
        """
        job = self._jobs.load(number)
        return job, self._models.active(job.model)


class Loader:
    """One thread that loads jobs: the newest wish is served, the preloaded are kept warm.

    Args:
        load: Loads a job with a warm model.
        stamp: Tells whether a preloaded job is still what `load` would give.
        preload: Jobs to keep warm, at most `MAX_PRELOADED`.
    """

    def __init__(
        self,
        load: Callable[[int], LoadedJob],
        stamp: Callable[[int], Hashable] = lambda _: 0,
        preload: Iterable[int] = (),
    ) -> None:
        self._load = load
        self._stamp = stamp
        self._preload = tuple(dict.fromkeys(preload))[:MAX_PRELOADED]
        self._warm: dict[int, tuple[Hashable, LoadedJob]] = {}
        self._changed = threading.Condition()
        self._wanted: int | None = None
        self._refresh = bool(self._preload)
        self._outcome: tuple[int, LoadedJob | Exception] | None = None
        self._thread: threading.Thread | None = None

    @property
    def preloaded(self) -> list[int]:
        """Jobs that can be switched to at once."""
        return sorted(self._warm)

    def ask(self, number: int) -> None:
        """Load this job next; a wish that was not served yet is forgotten."""
        with self._changed:
            self._wanted = number
            self._outcome = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def refresh(self) -> None:
        """Reload those preloaded jobs that are no longer what is on disk."""
        with self._changed:
            self._refresh = bool(self._preload)
            self._changed.notify_all()

    def outcome(self) -> tuple[int, LoadedJob | Exception] | None:
        """The job that was asked for last, or why it can't be had; once. None while loading."""
        with self._changed:
            outcome, self._outcome = self._outcome, None
            return outcome

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted is not None or self._refresh)
                number, self._wanted = self._wanted, None
            if number is None:
                self._keep_warm()
                continue
            found = self._get(number)
            with self._changed:
                # A newer wish has made this one worthless.
                if self._wanted is None:
                    self._outcome = (number, found)

    def _keep_warm(self) -> None:
        self._refresh = False
        for number in self._preload:
            if self._wanted is not None:
                self._refresh = True
                return
            found = self._get(number)
            if isinstance(found, Exception):
                log.warning("job %d was not preloaded: %s", number, found)

    def _get(self, number: int) -> LoadedJob | Exception:
        try:
            stamp = self._stamp(number)
            known = self._warm.get(number)
            if known is not None and known[0] == stamp:
                return known[1]
            self._warm.pop(number, None)
            loaded = self._load(number)
        # The loop's edge: whatever went wrong is the answer of who asked.
        except Exception as error:  # noqa: BLE001 - logged by who looks at it
            return error
        if number in self._preload:
            self._warm[number] = (stamp, loaded)
        return loaded
