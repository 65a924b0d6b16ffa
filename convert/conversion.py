"""One conversion from beginning to end, in the order in which a person would do it."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from importlib.metadata import version

from convert import calibration, golden
from convert.album import Album, Pixels, fit_album, open_album, read_labels
from convert.calibration import Samples
from convert.compare import Comparison, compare, guess_activation, scores_of
from convert.console import Console
from convert.errors import Refused
from convert.options import contract_of
from convert.proof import Run
from convert.quantize import Made, Recipe
from convert.source import Source, Wish, labels_beside, locate, picture_input
from convert.workbench import Workbench
from edge_app.inference.bundle import ModelBundle, ModelSpec, write_bundle
from edge_app.inference.judge import Limits
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import TensorInfo


class Conversion:
    """Carries out what the command line asks for.

    Args:
        options: The parsed command line.
        console: Told of every step.
        bench: Does the heavy work.
    """

    def __init__(self, options: argparse.Namespace, console: Console, bench: Workbench) -> None:
        self.options = options
        self.console = console
        self.bench = bench

    def perform(self) -> str:
        """Convert, prove and write; returns the summary.

        Raises:
            ConvertError: Nothing was written.
        """
        if self.options.images is None:
            raise Refused("give the folder of pictures with --images")
        album = open_album(self.options.images)
        labels = self._labels(album)
        source = self._source(binary=False)
        if len(labels) == 2 and _single_score(source):
            source = self._source(binary=True)
        tensor = picture_input(source.inputs)
        if tensor is None:
            raise Refused(_takes_no_picture(source))
        contract = self._contract(tensor)
        chosen = album.sample(self.options.compare)
        with self.console.step("reading the pictures") as progress:
            pixels = fit_album(chosen, contract, tensor, progress)
        return self._make(source, labels, contract, pixels)

    def _source(self, *, binary: bool) -> Source:
        path, kind, notes = locate(self.options.source)
        if kind == "tflite":
            raise Refused(f"{path.name} is a TFLite model already")
        activation = self.options.activation
        wish = Wish(
            signature=self.options.signature,
            tags=self.options.tags,
            shapes=dict(self.options.input_shape),
            binary=binary,
            activation="none" if activation == "auto" else activation,
        )
        for note in notes:
            self.console.say(note)
        source = self.bench.prepare(path, kind, wish)
        for note in source.notes:
            self.console.say(note)
        return source

    def _labels(self, album: Album) -> tuple[str, ...]:
        """Labels in the model's order: the labels file's, else the sorted sub-folders'."""
        file = self.options.labels or labels_beside(locate(self.options.source)[0])
        if file is None:
            if album.folders:
                order = ", ".join(album.folders)
                self.console.say(f"labels, in the order of the sorted sub-folders: {order}")
            return album.folders
        labels = read_labels(file)
        self.console.say(f"labels, in the order of {file.name}: {_some(labels)}")
        strangers = [folder for folder in album.folders if folder not in labels]
        if strangers:
            raise Refused(f"sub-folders that are no label in {file.name}: {', '.join(strangers)}")
        return labels

    def _contract(self, tensor: TensorInfo) -> Contract:
        try:
            return contract_of(self.options, tensor.shape[3])
        except ValueError as error:
            raise Refused(str(error)) from error

    def _make(
        self, source: Source, labels: tuple[str, ...], contract: Contract, pixels: Pixels
    ) -> str:
        (tensor,) = source.inputs
        samples = calibration.pictures(pixels, tensor.name, contract)
        album = Album(pixels.photos, ())
        truth = album.indices(labels)
        few = album.sample(self.options.calibrate)
        places = {photo: place for place, photo in enumerate(pixels.photos)}
        calibrating = samples.take([places[photo] for photo in few.photos])
        for sentence in calibration.warnings_for(calibrating, few.counts()):
            self.console.warn(sentence)
        made_float = self.bench.convert(source, Recipe("float32"), None)
        runtime = next(iter(self.bench.runtimes))
        reference = self.bench.run("float32", made_float.flatbuffer, runtime, samples)
        task, limits = self._task(labels, reference)
        recipe = Recipe(self.options.mode, self.options.io)
        made = self.bench.convert(source, recipe, calibrating)
        runs = self._prove(made, samples)
        comparisons = {name: compare(task, reference, run, truth) for name, run in runs.items()}
        first = runs[runtime]
        scores = scores_of(task, first) if task.kind == "classification" else None
        kept = golden.choose(samples, truth, scores, limits)
        spec = ModelSpec(
            name=self.options.name or self.options.output.stem,
            task=task,
            inputs=first.inputs,
            outputs=first.outputs,
            contract=contract,
            limits=limits,
            mode=made.recipe.mode,
            made=self._made(source),
            calibration=calibration.describe(calibrating, few.counts()),
            comparison=self._figures(comparisons),
        )
        bundle = ModelBundle(made.flatbuffer, spec, golden.golden(samples, reference, first, kept))
        write_bundle(self.options.output, bundle)
        return self._summary(bundle, comparisons)

    def _task(self, labels: tuple[str, ...], reference: Run) -> tuple[Task, Limits]:
        if not labels:
            count = sum(array[0].size for array in reference.real().values())
            labels = tuple(str(place) for place in range(count))
            self.console.warn("no labels were given: the classes are named by their numbers")
        asked = self.options.activation
        task = Task(
            "classification", labels, guess_activation(reference) if asked == "auto" else asked
        )
        scores_of(task, reference)
        strangers = [label for label in self.options.good if label not in labels]
        if strangers:
            raise Refused(f"--good names what is no label: {', '.join(strangers)}")
        try:
            return task, Limits(tuple(self.options.good), self.options.accept, self.options.reject)
        except ValueError as error:
            raise Refused(str(error)) from error

    def _prove(self, made: Made, samples: Samples) -> dict[str, Run]:
        return {
            name: self.bench.run(made.recipe.mode, made.flatbuffer, name, samples)
            for name in self.bench.runtimes
        }

    def _made(self, source: Source) -> dict[str, object]:
        return {
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "converter": f"lineside {version('lineside')}",
            "tensorflow": self.bench.tensorflow_version,
            "source": source.to_json(),
        }

    def _figures(self, comparisons: dict[str, Comparison]) -> dict[str, object]:
        return {
            "runtimes": {
                name: {"version": self.bench.runtimes[name]} | comparison.to_json()
                for name, comparison in comparisons.items()
            }
        }

    def _summary(self, bundle: ModelBundle, comparisons: dict[str, Comparison]) -> str:
        size = self.options.output.stat().st_size
        model = f"model {len(bundle.flatbuffer) / 1024:.0f} KB"
        lines = [f"{self.options.output}  {size / 1024:.0f} KB ({model}), {bundle.spec.mode}"]
        lines += [
            f"  {name:<16} agrees {c.agreement:.1%}, accuracy {c.float_accuracy:.1%} -> "
            f"{c.accuracy:.1%}, {c.invoke_ms:.2f} ms"
            for name, c in comparisons.items()
        ]
        return "\n".join(lines)


def _single_score(source: Source) -> bool:
    return len(source.outputs) == 1 and source.outputs[0].shape in ((-1, 1), (1, 1), (-1,), (1,))


def _takes_no_picture(source: Source) -> str:
    border = ", ".join(f"{tensor.name!r} {list(tensor.shape)}" for tensor in source.inputs)
    return f"the model takes no picture [1, height, width, 1 or 3] but {border}"


def _some(labels: tuple[str, ...], count: int = 8) -> str:
    more = f" … ({len(labels)} in all)" if len(labels) > count else ""
    return ", ".join(labels[:count]) + more
