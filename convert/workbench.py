"""Where the work is done: a child for TensorFlow, one for each runtime, a scratch folder."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from convert import prepare, proof, quantize
from convert.calibration import Samples
from convert.child import Child
from convert.console import Console
from convert.proof import Run
from convert.quantize import Made, Recipe
from convert.source import Kind, Source, Wish
from edge_app.inference.interpreter import installed_runtimes


class Workbench:
    """The children and what they are asked.

    Args:
        log: File for their noise.
        console: Told of every step.
    """

    def __init__(self, log: Path, console: Console) -> None:
        self.console = console
        self.runtimes = installed_runtimes()
        self.tensorflow_version = ""
        self._stack = ExitStack()
        self._tensorflow = Child("TensorFlow", log)
        self._children = {name: Child(name, log) for name in self.runtimes}

    def __enter__(self) -> Self:
        scratch = tempfile.TemporaryDirectory(prefix="lineside-")
        self.scratch = Path(self._stack.enter_context(scratch))
        for child in (self._tensorflow, *self._children.values()):
            self._stack.callback(child.stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def prepare(self, path: Path, kind: Kind, wish: Wish) -> Source:
        """Bring the user's model into the one form."""
        if not self.tensorflow_version:
            with self.console.step("starting TensorFlow") as progress:
                self.tensorflow_version = self._tensorflow.call(quantize.warm_up, progress)
        with self.console.step(f"reading {path.name}") as progress:
            return self._tensorflow.call(prepare.prepare, progress, path, kind, wish, self.scratch)

    def convert(self, source: Source, recipe: Recipe, calibration: Samples | None) -> Made:
        """Make a TFLite model."""
        with self.console.step(f"converting to {recipe.mode}") as progress:
            return self._tensorflow.call(quantize.convert, progress, source, recipe, calibration)

    def run(self, what: str, flatbuffer: bytes, runtime: str, samples: Samples) -> Run:
        """Have a runtime answer every sample; `what` is named in the progress."""
        with self.console.step(f"running {what} in {runtime}") as progress:
            return self._children[runtime].call(proof.run, progress, flatbuffer, runtime, samples)

    def look(self, flatbuffer: bytes, runtime: str) -> Run:
        """The border of a model as a runtime sees it."""
        with self.console.step(f"loading it in {runtime}") as progress:
            return self._children[runtime].call(proof.look, progress, flatbuffer, runtime)
