"""The golden set: a few samples with their answers, by which a device proves itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.calibration import Samples
from convert.proof import Run
from edge_app.inference.bundle import Golden
from edge_app.inference.judge import Limits
from edge_app.inference.tensor import Array

FEWEST, MOST = 16, 32
MAX_INPUT_BYTES = 1024 * 1024
"""Golden inputs may not outweigh the model: large pictures get the smaller set."""


def choose(
    samples: Samples,
    truth: Array,
    scores: Array | None,
    limits: Limits,
    steady: NDArray[np.bool_] | None = None,
) -> list[int]:
    """Places of the samples to keep: all classes in turn, unsure ones and sure ones.

    Args:
        samples: All that were compared.
        truth: Place of each one's true label; -1 where it is not known.
        scores: Score of each label, [n, labels]; None where the task has none.
        limits: Scores near these are wanted most, for there the verdict may tip.
        steady: Which samples all installed runtimes answer alike: only those are proof
            of a device, whatever it runs. None for all.
    """
    fit = np.arange(len(samples)) if steady is None else np.flatnonzero(steady)
    count = min(_size(samples), len(fit))
    if not count:
        return []
    if scores is None:
        return [int(fit[p]) for p in np.linspace(0, len(fit) - 1, count).round().astype(int)]
    top = scores.max(axis=1)
    near = np.minimum(np.abs(top - limits.accept), np.abs(top - limits.reject))
    group = np.where(truth >= 0, truth, scores.argmax(axis=1))
    # In each class by turns the one nearest a limit and the one farthest from both.
    piles = [_by_turns(fit[group[fit] == g], near) for g in np.unique(group[fit])]
    chosen: list[int] = []
    while len(chosen) < count:
        chosen += [pile.pop(0) for pile in piles if pile]
    return sorted(chosen[:count])


def _size(samples: Samples) -> int:
    one = sum(int(array[0].nbytes) for array in samples.inputs.values())
    return max(FEWEST, min(MOST, MAX_INPUT_BYTES // max(1, one)))


def _by_turns(places: Array, near: Array) -> list[int]:
    ordered = [int(p) for p in places[np.argsort(near[places], kind="stable")]]
    turns = []
    while ordered:
        turns.append(ordered.pop(0))
        if ordered:
            turns.append(ordered.pop())
    return turns


def golden(samples: Samples, reference: Run, run: Run, places: list[int]) -> Golden:
    """The golden set of these samples."""
    inputs = samples.take(places).inputs
    if samples.contract is None:
        # A device sets tensors as they are: kept in the types of this file's model.
        inputs = {info.name: info.quantize(inputs[info.name]) for info in run.inputs}
    return Golden(
        inputs=inputs,
        float_outputs={name: values[places] for name, values in reference.real().items()},
        quantized_outputs={name: values[places] for name, values in run.raw.items()},
    )
