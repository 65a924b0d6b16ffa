"""The app's models: the active version of each, loaded when it is first asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from edge_app.config import InferenceSettings
from edge_app.inference.engine import Engine
from edge_app.models import ModelStore

MAX_LOADED = 4
"""Models in memory at once; the one that was not used for longest goes first."""


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
    """Gives the engine of a model's active version.

    Args:
        store: Where models are.
        settings: Pins of runtime and threads, and the default model.
        default: The model that is meant when none is named.
    """

    def __init__(self, store: ModelStore, settings: InferenceSettings, default: str) -> None:
        self.store = store
        self.default = default
        self._settings = settings
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, LoadedModel] = OrderedDict()

    def get(self, name: str = "") -> LoadedModel:
        """The active version, loaded and warm; a swap takes effect here.

        Raises:
            UnknownModel: There is none.
            ModelFailed: The runtime refuses it.
            StoreError: Its file can't be read.
        """
        name = name or self.default
        active = self.store.active(name) if name else None
        if active is None:
            known = ", ".join(self.store.names()) or "none"
            raise UnknownModel(f"no active model {name!r}; there are: {known}")
        with self._lock:
            loaded = self._loaded.get(name)
            if loaded is None or loaded.version != active.version:
                loaded = self._load(name, active.version)
                self._loaded[name] = loaded
            self._loaded.move_to_end(name)
            while len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
            return loaded

    def loaded(self) -> list[LoadedModel]:
        """The models in memory."""
        with self._lock:
            return list(self._loaded.values())

    def _load(self, name: str, version: int) -> LoadedModel:
        bundle = self.store.load(self.store.version(name, version))
        engine = Engine(bundle, self._settings.runtime, max(1, self._settings.threads))
        return LoadedModel(name, version, engine, engine.warm())
