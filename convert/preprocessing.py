"""Settling the preprocessing contract: what the user says, held against what the labels say."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from convert import finder
from convert.album import Album, fit_album
from convert.calibration import Samples, pictures
from convert.compare import scores_of
from convert.console import Console
from convert.errors import Refused
from convert.finder import Finding
from convert.options import contract_of, says_range
from convert.proof import Run
from convert.workbench import Workbench
from edge_app.inference.decode import BadImage, decode_image
from edge_app.inference.metadata import read_facts
from edge_app.inference.preprocess import Contract, Resize
from edge_app.inference.tasks import Activation, Task
from edge_app.inference.tensor import TensorInfo

CHANCE = 1.5
"""Accuracy below this many times a blind guess's says that no contract is right."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The contract and how it was come by."""

    contract: Contract
    how: str
    findings: tuple[Finding, ...] = ()


class Settler:
    """Decides on the contract.

    Args:
        options: The parsed command line.
        console: Told of the table and of what is doubtful.
        bench: Runs the float model.
        floating: The float model.
        tensor: Its input.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        console: Console,
        bench: Workbench,
        floating: bytes,
        tensor: TensorInfo,
    ) -> None:
        self._options = options
        self._console = console
        self._bench = bench
        self._floating = floating
        self._tensor = tensor

    def settle(self, album: Album, labels: tuple[str, ...]) -> Settled:
        """The contract to use from here on."""
        given = contract_of(self._options, self._tensor.shape[3])
        told = says_range(self._options)
        wish = self._options.preprocess or ("check" if told else "auto")
        labelled = Album(tuple(p for p in album.photos if p.label in labels), album.folders)
        if wish == "trust" or len(labelled.photos) < 2 or not self._classifies(labels):
            if wish == "auto" and self._options.preprocess == "auto":
                raise Refused(
                    "--preprocess auto needs pictures with labels and a model that tells them "
                    "apart; say what the training used with --color and --range"
                )
            if not told and wish != "trust":
                self._console.warn(
                    "nobody says how the model's pictures were prepared, and there are no labels "
                    f"to find out by: {finder.name_of(given)} is assumed"
                )
            return Settled(given, "given" if told else "assumed")
        findings = self._search(labelled, labels, given if told else None, given)
        self._console.say(finder.table(findings))
        if wish == "check":
            self._check(findings, given)
            return Settled(given, "given, checked by the labels", tuple(findings))
        self._doubts(findings, len(labels))
        return Settled(findings[0].contract, "found by the labels", tuple(findings))

    def _classifies(self, labels: tuple[str, ...]) -> bool:
        """Whether the outputs are a score for each label: only then can labels speak."""
        shapes = [info.shape for info in read_facts(self._floating).outputs]
        return len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][1] == len(labels)

    def _search(
        self,
        album: Album,
        labels: tuple[str, ...],
        given: Contract | None,
        base: Contract,
    ) -> list[Finding]:
        few = self._readable(album.sample(finder.SAMPLE), base)
        truth = few.indices(labels)
        task = Task("classification", labels)
        resizes: Sequence[Resize] = get_args(Resize) if self._odd(few) else (base.resize,)
        last: dict[str, NDArray[np.float64]] = {}

        def score(contract: Contract) -> NDArray[np.float64]:
            run = self._run(few, contract)
            activation = self._options.activation or _activation(run)
            last["scores"] = scores_of(replace(task, activation=activation), run)
            return last["scores"]

        with self._bench.console.step("trying ways to prepare the pictures"):
            findings = finder.search(
                score, truth, self._tensor.shape[3], given=given, base=base, resizes=resizes
            )
            best = score(findings[0].contract)
        hint = finder.order_hint(best, truth, labels)
        if hint:
            self._console.warn(hint)
        return findings

    def _readable(self, album: Album, contract: Contract) -> Album:
        """The album without what is no picture, which is named."""
        fitted = fit_album(album, contract, self._tensor)
        self._console.left_out(fitted.skipped)
        return Album(fitted.photos, album.folders)

    def _run(self, album: Album, contract: Contract) -> Run:
        fitted = fit_album(album, contract, self._tensor)
        samples: Samples = pictures(fitted, self._tensor.name, contract)
        runtime = next(iter(self._bench.runtimes))
        return self._bench.answer(self._floating, runtime, samples)

    def _odd(self, album: Album) -> bool:
        """Whether the pictures' proportions differ from the model's: only then the fit matters."""
        _, height, width, _ = self._tensor.shape
        for photo in album.photos[:: max(1, len(album.photos) // 10)]:
            try:
                image = decode_image(photo.path.read_bytes())
            except (BadImage, OSError):
                continue
            if abs(image.shape[1] / image.shape[0] / (width / height) - 1) > 0.02:
                return True
        return False

    def _check(self, findings: list[Finding], given: Contract) -> None:
        own = next(finding for finding in findings if finding.contract == given)
        best = findings[0]
        if finder.clearly_better(best, own):
            self._console.warn(
                f"the labels speak against the preprocessing given: {own.name} gives "
                f"{own.accuracy:.1%}, {best.name} gives {best.accuracy:.1%}"
            )

    def _doubts(self, findings: list[Finding], labels: int) -> None:
        best = findings[0]
        if best.accuracy < CHANCE / labels:
            self._console.warn(
                f"under no preprocessing does the model know these labels (at best "
                f"{best.accuracy:.1%}): are the labels in the model's order?"
            )
        rivals = [f for f in findings[1:] if not finder.clearly_better(best, f)]
        same = [f.name for f in rivals if finder.equal(best, f)]
        if same:
            self._console.say(f"these pictures can't tell {best.name} from {', '.join(same)}")
        close = [f.name for f in rivals if f.name not in same]
        if close:
            self._console.warn(f"{best.name} is barely better than {', '.join(close[:3])}; "
                               "say what the training used")  # fmt: skip


def _activation(run: Run) -> Activation:
    """Whether outputs are scores already, by their values."""
    (values, *_) = run.real().values()
    return "none" if values.min() >= -0.01 and values.max() <= 1.01 else "softmax"
