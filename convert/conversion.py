"""One conversion from beginning to end, in the order in which a person would do it."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

import numpy as np

from convert import calibration
from convert.album import Album, Photo, fit_album
from convert.calibration import Samples
from convert.choose import Chooser, Measure, Trial, prove
from convert.console import Console
from convert.errors import CannotConvert, GateFailed, Refused
from convert.intake import Intake, random_samples, read_samples, some, take_in
from convert.options import choices_of, gates_of, modes_of
from convert.preprocessing import Settled, Settler
from convert.proof import Run
from convert.quantize import Made, Recipe
from convert.source import locate, picture_input
from convert.workbench import Workbench
from edge_app.inference.guess import Told, guess_task
from edge_app.inference.judge import Limits
from edge_app.inference.metadata import read_facts
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import Array


@dataclass(frozen=True, slots=True)
class Shown:
    """What the models are shown.

    Args:
        samples: What all models answer.
        truth: Place of each one's true label; -1 where it is not known.
        calibrating: What integer models are calibrated with; None if nothing is fit for it.
        counts: How many of each label calibrate.
        photos: Where the samples came from; empty for tensors.
        skipped: Pictures that could not be read.
        settled: The contract and how it was come by; None for tensors.
    """

    samples: Samples
    truth: Array
    calibrating: Samples | None
    counts: dict[str, int]
    photos: tuple[Photo, ...] = ()
    skipped: tuple[str, ...] = ()
    settled: Settled | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that is known when a model was chosen.

    Args:
        intake: What was given.
        shown: What the models were shown.
        measure: What they were held against.
        limits: What verdicts are given by.
        floating: The float model.
        trials: All that were tried, the chosen one last; with `--every-mode` anywhere.
        chosen: The one to write; None if none passed.
        speeds: Milliseconds of one invoke by model, runtime and threads.
    """

    intake: Intake
    shown: Shown
    measure: Measure
    limits: Limits
    floating: Made
    trials: tuple[Trial, ...]
    chosen: Trial | None
    speeds: dict[str, dict[str, dict[int, float]]]


class Conversion:
    """Carries out what the command line asks for.

    Args:
        options: The parsed command line.
        console: Told of every step.
        bench: Does the heavy work.
    """

    def __init__(self, options: argparse.Namespace, console: Console, bench: Workbench) -> None:
        self._options = options
        self._console = console
        self._bench = bench

    def perform(self) -> Outcome:
        """Convert and prove; nothing is written yet.

        Raises:
            ConvertError: What was given can't be used or converted.
        """
        intake = take_in(self._options, self._console, self._bench)
        floating = self._floating(intake)
        shown = self._show(intake, floating)
        reference = self._answers(floating, shown.samples)
        task = self._task(intake, floating, reference)
        limits = self._limits(task)
        defects = tuple(x for x in task.labels if x not in limits.good) if limits.good else ()
        gates = gates_of(self._options)
        strangers = [label for label in gates.min_recall if label not in task.labels]
        if strangers:
            raise Refused(f"--min-recall names what is no label: {', '.join(strangers)}")
        name = self._options.name or self._options.output.stem
        measure = Measure(
            name=name,
            task=task,
            samples=shown.samples,
            truth=shown.truth,
            reference=reference,
            gates=gates,
            defects=defects,
            same_model=intake.adopted is not None and self._options.reference is None,
        )
        trials = self._trials(intake, floating, shown, measure)
        eligible = choices_of(self._options)
        chosen = next((t for t in trials if t.passed and t.mode in (*eligible, "as given")), None)
        speeds = self._speeds(floating, chosen, measure)
        return Outcome(intake, shown, measure, limits, floating, trials, chosen, speeds)

    def _floating(self, intake: Intake) -> Made:
        """The float model, that all others are held against."""
        if intake.adopted is None:
            return self._bench.convert(intake.source, Recipe("float32"), None)
        if self._options.reference is None:
            return Made(intake.adopted.flatbuffer, Recipe("float32"), 0.0, 0.0)
        path, kind, _ = locate(self._options.reference)
        if kind == "tflite":
            return Made(path.read_bytes(), Recipe("float32"), 0.0, 0.0)
        source = self._bench.prepare(path, kind)
        return self._bench.convert(source, Recipe("float32"), None)

    def _show(self, intake: Intake, floating: Made) -> Shown:
        tensor = picture_input(intake.source.inputs)
        if tensor is not None and intake.album is not None:
            return self._show_pictures(intake, floating, intake.album)
        if tensor is not None and self._options.samples is None:
            raise Refused("give the folder of pictures with --images")
        inputs, count = intake.source.inputs, self._options.compare
        if self._options.samples is None:
            self._console.warn(
                "no samples were given (--samples): the model is proved to run, with random "
                "numbers, and can't be calibrated"
            )
            samples, calibrating = random_samples(inputs), None
        else:
            samples = read_samples(self._options.samples, inputs, count)
            few = np.linspace(0, len(samples) - 1, min(len(samples), self._options.calibrate))
            calibrating = samples.take(np.unique(few.round()))
        truth = np.full(len(samples), -1)
        counts = {"": len(calibrating)} if calibrating else {}
        return Shown(samples, truth, calibrating, counts)

    def _show_pictures(self, intake: Intake, floating: Made, album: Album) -> Shown:
        (tensor,) = intake.source.inputs
        if intake.adopted is not None and intake.adopted.spec.contract is not None:
            settled = Settled(intake.adopted.spec.contract, "from the file")
        else:
            settler = Settler(
                self._options, self._console, self._bench, floating.flatbuffer, tensor
            )
            settled = settler.settle(album, intake.labels)
        chosen = album.sample(self._options.compare)
        with self._console.step("reading the pictures") as progress:
            pixels = fit_album(chosen, settled.contract, tensor, progress)
        self._console.left_out(pixels.skipped)
        read = Album(pixels.photos, album.folders)
        few = read.sample(self._options.calibrate)
        places = {photo: place for place, photo in enumerate(pixels.photos)}
        samples = calibration.pictures(pixels, tensor.name, settled.contract)
        calibrating = samples.take([places[photo] for photo in few.photos])
        if intake.adopted is None:
            for sentence in calibration.warnings_for(calibrating, few.counts()):
                self._console.warn(sentence)
        return Shown(
            samples,
            read.indices(intake.labels),
            calibrating,
            few.counts(),
            pixels.photos,
            pixels.skipped,
            settled,
        )

    def _answers(self, floating: Made, samples: Samples) -> Run:
        """The float model's answers, in the first runtime that takes it."""
        said = ""
        for runtime in self._bench.runtimes:
            try:
                run = self._bench.run("the float model", floating.flatbuffer, runtime, samples)
            except CannotConvert as error:
                said = said or str(error)
            else:
                _check_numbers(run, len(samples))
                return run
        raise CannotConvert(f"no installed runtime takes the float model: {said}")

    def _task(self, intake: Intake, floating: Made, reference: Run) -> Task:
        if intake.adopted is not None:
            return intake.adopted.spec.task
        told = Told(
            task=self._options.task, labels=intake.labels, activation=self._options.activation
        )
        assumed: list[str] = []
        answers = reference.real()
        flat = [values for values in answers.values() if values.ndim == 3]
        may_classify = self._options.task in (None, "classification")
        if may_classify and intake.labels and len(answers) == len(flat) == 1:
            classes = flat[0].shape[-1]
            # One score is of two classes, and was widened if both were named.
            if classes != len(intake.labels) or classes == 1:
                raise Refused(
                    f"the model tells {max(classes, 2)} classes apart, the labels are "
                    f"{some(intake.labels)}: name all classes in the model's order with --labels"
                )
        try:
            facts = read_facts(floating.flatbuffer)
            task = guess_task(facts, told, reference.inputs, answers, assumed)
        except ValueError as error:
            raise Refused(f"{error} (--task and --labels tell what the outputs mean)") from error
        for sentence in assumed:
            self._console.say(f"assumed: {sentence}")
        return task

    def _limits(self, task: Task) -> Limits:
        strangers = [label for label in self._options.good if label not in task.labels]
        if strangers:
            raise Refused(f"--good names what is no label: {', '.join(strangers)}")
        try:
            return Limits(tuple(self._options.good), self._options.accept, self._options.reject)
        except ValueError as error:
            raise Refused(str(error)) from error

    def _trials(
        self, intake: Intake, floating: Made, shown: Shown, measure: Measure
    ) -> tuple[Trial, ...]:
        if intake.adopted is not None:
            made = Made(intake.adopted.flatbuffer, Recipe("as given"), 0.0, 0.0)
            return (prove(self._bench, made, measure),)
        chooser = Chooser(
            self._bench,
            intake.source,
            floating,
            calibration=shown.calibrating,
            measure=measure,
            border=self._options.io,
        )
        trials = []
        for trial in chooser.trials(modes_of(self._options)):
            trials.append(trial)
            for sentence in trial.failures[:3]:
                self._console.say(f"{trial.mode} is passed over: {sentence}")
            if trial.passed and not self._options.every_mode:
                break
        return tuple(trials)

    def _speeds(
        self, floating: Made, chosen: Trial | None, measure: Measure
    ) -> dict[str, dict[str, dict[int, float]]]:
        """Milliseconds of one invoke: float and chosen, by runtime and threads."""
        models = {} if measure.same_model else {"float32": floating.flatbuffer}
        if chosen is not None and chosen.made is not None:
            models[chosen.mode] = chosen.made.flatbuffer
        counts = sorted({1, min(4, os.cpu_count() or 1)})
        found: dict[str, dict[str, dict[int, float]]] = {}
        with self._console.step("timing"):
            for name, flatbuffer in models.items():
                for runtime in self._bench.runtimes:
                    try:
                        found.setdefault(name, {})[runtime] = {
                            threads: self._bench.time(flatbuffer, runtime, measure.samples, threads)
                            for threads in counts
                        }
                    except CannotConvert:
                        # The trial has said so already.
                        continue
        return found


def require_passed(outcome: Outcome) -> Trial:
    """The chosen model.

    Raises:
        GateFailed: None passed; the sentence says why the last one did not.
        CannotConvert: None could be made at all.
    """
    if outcome.chosen is not None:
        return outcome.chosen
    last = outcome.trials[-1]
    why = "; ".join(last.failures[:3])
    if all(trial.made is None for trial in outcome.trials):
        raise CannotConvert(f"{last.mode} can't be made: {why}")
    tried = f"none of {len(outcome.trials)} models passes" if len(outcome.trials) > 1 else last.mode
    raise GateFailed(f"{tried}: {why}")


def _check_numbers(run: Run, samples: int) -> None:
    """Refuse a model that answers with NaN before anything was done to it."""
    finite = np.ones(samples, dtype=np.bool_)
    for values in run.real().values():
        finite &= np.isfinite(values.reshape(samples, -1)).all(axis=1)
    lost = int((~finite).sum())
    if lost:
        raise Refused(
            f"the model as it was given answers {lost} of {samples} samples with what is no number "
            "(NaN or infinite), without any quantization: look at the preprocessing, and at what "
            "it answers in TensorFlow"
        )
