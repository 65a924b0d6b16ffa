"""Where the work is done: a child for TensorFlow, one for each runtime, a scratch folder."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from convert import layers, prepare, proof, quantize
from convert.calibration import Samples
from convert.child import Child, silent
from convert.console import Console
from convert.layers import Examined
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
        self._log = log
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        scratch = tempfile.TemporaryDirectory(prefix="lineside-")
        self.scratch = Path(self._stack.enter_context(scratch))
        self._tensorflow = Child("TensorFlow", self._log, self.scratch)
        self._children = {name: Child(name, self._log, self.scratch) for name in self.runtimes}
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

    def prepare(self, path: Path, kind: Kind, wish: Wish | None = None) -> Source:
        """Bring the user's model into the one form."""
        if not self.tensorflow_version:
            with self.console.step("starting TensorFlow") as progress:
                self.tensorflow_version = self._tensorflow.call(quantize.warm_up, progress)
        scratch = Path(tempfile.mkdtemp(dir=self.scratch))
        with self.console.step(f"reading {path.name}") as progress:
            return self._tensorflow.call(
                prepare.prepare, progress, path, kind, wish or Wish(), scratch
            )

    def convert(self, source: Source, recipe: Recipe, calibration: Samples | None) -> Made:
        """Make a TFLite model."""
        with self.console.step(f"converting to {recipe.mode}") as progress:
            return self._tensorflow.call(quantize.convert, progress, source, recipe, calibration)

    def examine(self, source: Source, recipe: Recipe, calibration: Samples) -> Examined:
        """Find the layers that int8 ruins."""
        with self.console.step("looking for the worst layers") as progress:
            return self._tensorflow.call(layers.examine, progress, source, recipe, calibration)

    def convert_mixed(self, recipe: Recipe, examined: Examined) -> Made:
        """Make an int8 model with some layers in float."""
        with self.console.step(f"leaving {len(recipe.float_nodes)} layers in float") as progress:
            return self._tensorflow.call(layers.convert_mixed, progress, recipe, examined)

    def run(self, what: str, flatbuffer: bytes, runtime: str, samples: Samples) -> Run:
        """Have a runtime answer every sample; `what` is named in the progress."""
        with self.console.step(f"running {what} in {runtime}") as progress:
            return self._children[runtime].call(proof.run, progress, flatbuffer, runtime, samples)

    def answer(self, flatbuffer: bytes, runtime: str, samples: Samples) -> Run:
        """The same without a word about it."""
        return self._children[runtime].call(proof.run, silent, flatbuffer, runtime, samples)

    def time(self, flatbuffer: bytes, runtime: str, samples: Samples, threads: int) -> float:
        """Median milliseconds of one invoke with so many threads."""
        child = self._children[runtime]
        return child.call(proof.time_invoke, silent, flatbuffer, runtime, samples, threads)
