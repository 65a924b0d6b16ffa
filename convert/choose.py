"""The smallest and fastest model that passes the gates, and why each other was passed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from convert import layers
from convert.calibration import Samples
from convert.compare import Comparison, alike, compare
from convert.errors import CannotConvert
from convert.gates import Gates
from convert.proof import Run
from convert.quantize import Border, Made, Mode, Recipe
from convert.source import Source
from convert.tflite_metadata import with_metadata
from convert.workbench import Workbench
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import Array

RUINED = 0.25
"""A layer that loses this share of its signal is left in float at the first attempt."""

MIXED_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """One model that was tried.

    Args:
        mode: How it was made.
        made: The model; None if it could not be made.
        runs: Its answers, by runtime.
        comparisons: Held against the float model, by runtime.
        refusals: What the other runtimes said to it.
        failures: Why it may not be written; empty if it may.
    """

    mode: Mode
    made: Made | None
    runs: Mapping[str, Run]
    comparisons: Mapping[str, Comparison]
    refusals: Mapping[str, str]
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it may be written."""
        return self.made is not None and not self.failures

    def to_json(self) -> dict[str, Any]:
        """Figures of the trial, for the model file and the report."""
        return {
            "mode": self.mode,
            "passed": self.passed,
            "failures": list(self.failures),
            "bytes": len(self.made.flatbuffer) if self.made else None,
            "seconds": round(self.made.seconds, 2) if self.made else None,
            "peak_mb": round(self.made.peak_mb) if self.made else None,
            "left_in_float": list(self.made.recipe.float_nodes) if self.made else [],
            "notes": list(self.made.notes) if self.made else [],
            "runtimes": {name: c.to_json() for name, c in self.comparisons.items()},
            "refused_by": dict(self.refusals),
        }


@dataclass(frozen=True, slots=True)
class Measure:
    """What every model is held against.

    Args:
        name: The model's name, told in its metadata.
        task: What the outputs mean.
        samples: What all models answer.
        truth: Place of each sample's true label; -1 where it is not known.
        reference: The float model's answers.
        gates: What must be reached.
        defects: Labels that are not of good parts.
        same_model: The reference is the same model in one of the runtimes: answers agree
            if they are the same for all that matters on a device.
    """

    name: str
    task: Task
    samples: Samples
    truth: Array
    reference: Run
    gates: Gates
    defects: tuple[str, ...]
    same_model: bool = False

    def compare(self, run: Run) -> Comparison:
        """Hold a model's answers against the float model's."""
        comparison = compare(self.task, self.reference, run, self.truth, self.samples)
        if self.same_model and self.task.kind == "classification":
            same = alike(self.task, self.reference, run, self.samples)
            return replace(comparison, agreement=float(same.mean()))
        return comparison


class Chooser:
    """Makes models and measures them.

    Args:
        bench: Does the work.
        source: What they are made of.
        floating: The float32 model, made already.
        calibration: What integer models are calibrated with; None if there is nothing.
        measure: What they are held against.
        border: Type of an int8 model's inputs and outputs.
    """

    def __init__(
        self,
        bench: Workbench,
        source: Source,
        floating: Made,
        *,
        calibration: Samples | None,
        measure: Measure,
        border: Border,
    ) -> None:
        self._bench = bench
        self._source = source
        self._floating = floating
        self._calibration = calibration
        self._measure = measure
        self._border = border

    def trials(self, modes: tuple[Mode, ...]) -> Iterator[Trial]:
        """Try these modes, one after the other; take no more than are needed."""
        for mode in modes:
            if mode.startswith("int") and self._calibration is None:
                yield _failed(mode, "there are no samples to calibrate with")
            elif mode == "int8-mixed":
                yield from self._mixed()
            else:
                yield self._single(mode)

    def _single(self, mode: Mode) -> Trial:
        try:
            recipe = Recipe(mode, self._border)
            made = (
                self._floating
                if mode == "float32"
                else self._bench.convert(self._source, recipe, self._calibration)
            )
        except CannotConvert as error:
            return _failed(mode, str(error))
        if mode == "float16" and len(made.flatbuffer) >= len(self._floating.flatbuffer):
            return _failed(mode, "it is no smaller than float32")
        return prove(self._bench, made, self._measure)

    def _mixed(self) -> Iterator[Trial]:
        """Ever more of the worst layers in float; at most half of them."""
        assert self._calibration is not None  # noqa: S101 - checked by the caller
        recipe = Recipe("int8-mixed", self._border)
        try:
            examined = self._bench.examine(self._source, recipe, self._calibration)
        except CannotConvert as error:
            yield _failed("int8-mixed", str(error))
            return
        count = max(1, sum(suspect.error > RUINED for suspect in examined.suspects))
        for _ in range(MIXED_ATTEMPTS):
            nodes = layers.most(examined.suspects, count)
            if not nodes:
                return
            try:
                recipe = Recipe("int8-mixed", self._border, nodes)
                made = self._bench.convert_mixed(recipe, examined)
            except CannotConvert as error:
                yield _failed("int8-mixed", str(error))
                return
            trial = prove(self._bench, made, self._measure)
            yield trial
            count *= 2
            if trial.passed or count > len(examined.suspects) // 2:
                return


def prove(bench: Workbench, made: Made, measure: Measure) -> Trial:
    """Run a model in every installed runtime and hold it against the float model.

    It is given its metadata first: what is proved is what will be written, to the byte.
    """
    told = with_metadata(made.flatbuffer, measure.name, measure.task, measure.samples.contract)
    made = replace(made, flatbuffer=told)
    runs: dict[str, Run] = {}
    refusals: dict[str, str] = {}
    for runtime in bench.runtimes:
        try:
            runs[runtime] = bench.run(made.recipe.mode, made.flatbuffer, runtime, measure.samples)
        except CannotConvert as error:
            refusals[runtime] = str(error)
    comparisons = {name: measure.compare(run) for name, run in runs.items()}
    failures = [
        sentence
        for comparison in comparisons.values()
        for sentence in measure.gates.failures(comparison, measure.defects)
    ]
    if not runs:
        failures = [f"no installed runtime takes it: {next(iter(refusals.values()), '')}"]
    return Trial(made.recipe.mode, made, runs, comparisons, refusals, tuple(failures))


def _failed(mode: Mode, why: str) -> Trial:
    return Trial(mode, None, {}, {}, {}, (why,))
