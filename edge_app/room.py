"""How many models may be in memory, and which of them go when another one comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_app.inference.engine import Engine
from edge_app.inference.interpreter import ModelFailed

MAX_LOADED = 4
"""Models in memory at once, however small they are."""


class Crowded(Exception):  # noqa: N818 - a fact about the moment
    """The models that would have to go are at work right now."""


@dataclass(frozen=True, slots=True)
class Room:
    """The memory that models share.

    Args:
        bytes: As `Engine.memory_bytes` counts them.
    """

    bytes: int

    def leaving(
        self, name: str, need_bytes: int, others: Mapping[str, Engine], default: str
    ) -> list[str]:
        """Which models have to go so that one more fits.

        The default model never goes and always comes in: a device that can't answer
        `/predict` is of no use. A model that is just being run doesn't go either: its
        memory would not come back before the run ends.

        Args:
            name: The one that comes.
            need_bytes: What it takes.
            others: The models in memory without it, the one unused for longest first.
            default: The name of the default model.

        Raises:
            ModelFailed: It will never fit beside the default model.
            Crowded: It does not fit right now.
        """
        if name != default:
            self._check(name, need_bytes, others.get(default))
        going: list[str] = []
        used_bytes = need_bytes + sum(engine.memory_bytes for engine in others.values())
        for other, engine in others.items():
            if self._fits(len(others) - len(going), used_bytes):
                break
            if other != default and not engine.busy:
                going.append(other)
                used_bytes -= engine.memory_bytes
        if name != default and not self._fits(len(others) - len(going), used_bytes):
            raise Crowded(f"no room for model {name}: the models in memory are at work")
        return going

    def _fits(self, others: int, used_bytes: int) -> bool:
        return others < MAX_LOADED and used_bytes <= self.bytes

    def _check(self, name: str, need_bytes: int, default: Engine | None) -> None:
        left_bytes = self.bytes - (default.memory_bytes if default else 0)
        if need_bytes > left_bytes:
            beside = " beside the default model" if default else ""
            raise ModelFailed(
                f"model {name} takes about {need_bytes / 1e6:.1f} MB; "
                f"models_max_mb = {self.bytes / 1e6:g} leaves "
                f"{max(0, left_bytes) / 1e6:.1f} MB{beside}"
            )
