"""The app's models: loaded and warmed beside the requests, never in their way."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from edge_app.door import Busy
from edge_app.inference.budget import Deadline
from edge_app.inference.bundle import ModelBundle
from edge_app.inference.engine import Engine
from edge_app.inference.interpreter import ModelFailed
from edge_app.models import ModelStore, ModelVersion, StoreError
from edge_app.room import Crowded, Room

LOOK_S = 0.5
"""How soon a version that was activated by another program is taken up."""

LOST = (0, 0)
"""Stands for version and moment of activation where the active version's file is gone."""

log = logging.getLogger(__name__)

Load = Callable[[ModelVersion, ModelBundle], Engine]
"""Makes the engine of a version; a seam for tests and for pins of runtime and threads."""


class UnknownModel(Exception):  # noqa: N818 - a fact about the request
    """No model of that name has an active version."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to run.

    Args:
        name: As the store calls it.
        version: The active version.
        engine: Warm.
        invoke_ms: What an invoke took when it was warm.
    """

    name: str
    version: int
    engine: Engine
    invoke_ms: float

    @property
    def label(self) -> str:
        """Name and version, as records have it."""
        return f"{self.name}/{self.version}"


class Engines:
    """Gives the engine of a model's active version, or of a version that is named: `flange/2`.

    A new version is loaded and warmed while the old one serves, then they change places.
    One that can't be loaded leaves the old one in place, and says why. Where memory is short
    the models unused for longest go.

    Args:
        store: Where models are.
        load: Makes an engine.
        default: Tells the model that is meant when none is named; empty for none.
        room: The memory for all of them.
        prove: Lets a model prove itself anew at this program's first use of it, and go back
            to a version that can, unless one was named; gives the version to run, or raises
            `StoreError`. None to trust the store.
    """

    def __init__(
        self,
        store: ModelStore,
        load: Load,
        default: Callable[[], str],
        room: Room,
        prove: Callable[[str], ModelVersion | None] | None = None,
    ) -> None:
        self.store = store
        self.default = ""
        self._find_default = default
        self._room = room
        self._load_engine = load
        self._prove = prove
        self._settled: dict[str, tuple[tuple[int, int], ModelVersion | None]] = {}
        self._changed = threading.Condition()
        self._one_load = threading.Lock()
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()
        self._wanted: set[str] = set()
        self._failed: dict[str, tuple[int, str]] = {}
        self._crowded: dict[str, str] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="models", daemon=True)

    def start(self) -> None:
        """Begin to look for newly activated versions."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(0.5)

    def get(self, name: str = "", deadline: Deadline | None = None) -> LoadedModel:
        """The active version, warm; or the named one, for comparisons.

        Args:
            name: Which model, or model and version as records have it (`flange/2`); empty
                for the default one.
            deadline: How long to wait while it is loaded for the first time; not at all without.

        Raises:
            UnknownModel: There is none.
            ModelFailed: It can't be loaded.
            Busy: It is being loaded and won't be ready in time, or there is no room now.
        """
        name = name or self.default
        if self.peek(name) is None and not (self._meant(name) or self.store.earlier(name)):
            raise self._unknown(name)
        with self._changed:
            if name not in self._loaded:
                self._wait_for(name, deadline)
            self._loaded.move_to_end(name)
            return self._loaded[name]

    def peek(self, name: str = "") -> LoadedModel | None:
        """The model if it is in memory, without any waiting or loading."""
        with self._changed:
            return self._loaded.get(name or self.default)

    def problem(self, name: str = "") -> str:
        """Why a model's active version does not run; empty if it does."""
        with self._changed:
            _, reason = self._failed.get(name or self.default, (0, ""))
        if reason:
            return reason
        if self.peek(name) is None:
            return str(self._unknown(name or self.default))
        return ""

    def loaded(self) -> list[LoadedModel]:
        """The models in memory."""
        with self._changed:
            return list(self._loaded.values())

    def refresh(self) -> None:
        """Load what became active, at once; called after a change, and now and then."""
        with self._one_load:
            default = self._find_default()
            with self._changed:
                if default != self.default:
                    self._failed.clear()  # what did not fit beside the old one may fit now
                self.default = default
                names = {*self._loaded, *self._wanted, self.default} - {""}
            for name in sorted(names):
                if self._is_due(name):
                    self._refresh(name)
            with self._changed:
                self._wanted -= names
                self._changed.notify_all()

    def _meant(self, name: str) -> ModelVersion | None:
        """The version that a name stands for; None where there is none."""
        model, slash, version = name.partition("/")
        if not slash:
            return self.store.active(model)
        try:
            return self.store.version(model, version)
        except StoreError:
            return None

    def _is_due(self, name: str) -> bool:
        """False for one that just went to make room for another: nobody asked for it again."""
        with self._changed:
            return name == self.default or name in self._loaded or name in self._wanted

    def _wait_for(self, name: str, deadline: Deadline | None) -> None:
        self._wanted.add(name)
        self._crowded.pop(name, None)
        self._changed.notify_all()
        left_s = deadline.left_s() if deadline else 0.0
        ends = (self._loaded, self._failed, self._crowded)
        self._changed.wait_for(lambda: any(name in end for end in ends), left_s)
        if name in self._loaded:
            return
        if name in self._failed:
            raise ModelFailed(self._failed[name][1])
        reason = self._crowded.get(name, f"model {name} is being loaded")
        raise Busy(reason, 1000.0, "loading")

    def _unknown(self, name: str) -> UnknownModel:
        known = ", ".join(self.store.names()) or "none"
        if not name:
            return UnknownModel(f"no model is set for uploads; there are: {known}")
        return UnknownModel(f"no active model {name!r}; there are: {known}")

    def _refresh(self, name: str) -> None:
        version, loaded = self._meant(name), self.peek(name)
        try:
            version = self._proven(name, version)
            if version is None:
                self._forget(name)
                return
            failed_version, _ = self._failed.get(name, (0, ""))
            if version.version == failed_version or (loaded and loaded.version == version.version):
                return
            fresh = self._load(version)
        except Crowded as error:
            with self._changed:
                self._crowded[name] = str(error)
            return
        except (ModelFailed, StoreError, ValueError) as error:
            log.error("model %s can't run: %s", name, error)  # noqa: TRY400 - one sentence
            with self._changed:
                self._failed[name] = (version.version if version else 0, str(error))
            return
        log.info("model %s is warm: %.1f ms", fresh.label, fresh.invoke_ms)
        with self._changed:
            self._failed.pop(name, None)
            if name == self.default:
                self._failed.clear()  # what did not fit beside its old version may fit now
            self._loaded[name] = fresh
            self._loaded.move_to_end(name)

    def _forget(self, name: str) -> None:
        """There is no such model any more, or no version of it that can run."""
        known = self._meant(name) or self.store.earlier(name)
        with self._changed:
            self._loaded.pop(name, None)
            self._failed.pop(name, None)
            if known:
                reason = f"no version of model {name} can run here; the log says why"
                self._failed[name] = (0, reason)

    def _proven(self, name: str, meant: ModelVersion | None) -> ModelVersion | None:
        """The version to run, proved once by this program; None where none can."""
        if self._prove is None:
            return meant
        change = (meant.version, self.store.changed_at(name)) if meant else LOST
        settled = self._settled.get(name)
        if settled is not None and settled[0] == change:
            # What failed has its next chance when somebody activates it again.
            return settled[1]
        if meant is not None and settled is not None and settled[0] != LOST:
            return meant  # it proved itself when it was activated
        self._settled[name] = change, None
        proven = self._prove(name) if meant or self.store.earlier(name) else None
        self._settled[name] = change, proven
        return proven

    def _load(self, version: ModelVersion) -> LoadedModel:
        bundle = self.store.load(version)
        # Before it is loaded only the file and its weights are known, and they are most of it.
        self._make_room(version.name, 2 * len(bundle.flatbuffer))
        engine = self._load_engine(version, bundle)
        self._make_room(version.name, engine.memory_bytes)
        return LoadedModel(version.name, version.version, engine, engine.warm())

    def _make_room(self, name: str, need_bytes: int) -> None:
        with self._changed:
            others = {key: held.engine for key, held in self._loaded.items() if key != name}
            for other in self._room.leaving(name, need_bytes, others, self.default):
                log.info("model %s goes to make room for %s", other, name)
                del self._loaded[other]

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.refresh()
            # The loop's edge: a disk that fails for a while must not end the looking.
            except Exception:
                log.exception("the models can't be looked at")
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._wanted, LOOK_S)
