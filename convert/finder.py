"""Which preprocessing was the model trained with? The labels know.

Wrong scale or colour order is the commonest fault of all, and nothing in a SavedModel
tells it. With labelled pictures it can be measured: the float model is run under every
plausible contract, and the one under which it gives the true labels the most credit is
the one it was trained with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.preprocess import Color, Contract, Resize

SAMPLE = 200
"""Pictures that each contract is tried on."""

LEAST_CREDIT = 1e-4
"""A true label's score below this counts as this: one blunder may not decide."""

SURE = 3.0
"""Standard errors by which one contract must beat another to be called clearly better."""

MATTERS = 0.05
"""And by so much credit (natural logarithm), or nobody need care."""

_IMAGENET_MEAN, _IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_CAFFE_MEAN = (103.939, 116.779, 123.68)


@dataclass(frozen=True, slots=True)
class Finding:
    """How the float model did under one contract.

    Args:
        name: The contract in words.
        contract: The contract.
        accuracy: Share of true labels on top.
        credit: Mean logarithm of the true label's score; 0 is perfect.
        credits: The same for each picture.
    """

    name: str
    contract: Contract
    accuracy: float
    credit: float
    credits: NDArray[np.float64]

    def to_json(self) -> dict[str, Any]:
        """One row of the table."""
        return {
            "name": self.name,
            "contract": self.contract.to_json(),
            "accuracy": round(self.accuracy, 4),
            "credit": round(self.credit, 4),
        }


Score = Callable[[Contract], NDArray[np.float64]]
"""The scores [n, labels] that the float model gives under a contract."""


def ranges(channels: int) -> dict[str, Contract]:
    """Plausible colour orders and value ranges, by name."""
    if channels == 1:
        plain = _plain("GREY")
        grey = Contract("GREY", mean=(0.449 * 255,), std=(0.226 * 255,))
        return plain | {"GREY ImageNet": grey}
    found = _plain("RGB") | _plain("BGR")
    found["RGB ImageNet"] = Contract("RGB", mean=_IMAGENET_MEAN, std=_IMAGENET_STD)
    found["BGR ImageNet"] = Contract("BGR", mean=_IMAGENET_MEAN[::-1], std=_IMAGENET_STD[::-1])
    found["BGR caffe"] = Contract("BGR", mean=_CAFFE_MEAN, std=(1.0,))
    return found


def _plain(color: Color) -> dict[str, Contract]:
    return {
        f"{color} 0..255": Contract(color, mean=(0.0,), std=(1.0,)),
        f"{color} 0..1": Contract(color, mean=(0.0,), std=(255.0,)),
        f"{color} -1..1": Contract(color, mean=(127.5,), std=(127.5,)),
    }


def name_of(contract: Contract) -> str:
    """A contract in words."""
    plain = replace(contract, resize="stretch", kernel=Contract().kernel)
    for name, known in ranges(contract.channels).items():
        if known == plain:
            return f"{name} {contract.resize}"
    mean = ",".join(f"{value:g}" for value in contract.mean)
    std = ",".join(f"{value:g}" for value in contract.std)
    return f"{contract.color} mean {mean} std {std} {contract.resize}"


def search(
    score: Score,
    truth: NDArray[np.int64],
    channels: int,
    *,
    given: Contract | None,
    base: Contract,
    resizes: Sequence[Resize],
) -> list[Finding]:
    """Try the plausible contracts; the best first.

    Args:
        score: Runs the float model.
        truth: Place of each picture's true label.
        channels: The model's.
        given: What the user says, tried as well.
        base: Its fit and interpolation are used throughout.
        resizes: Ways to fit that make a difference with these pictures.
    """
    tried = [replace(c, resize=base.resize, kernel=base.kernel) for c in ranges(channels).values()]
    findings = _try(score, truth, ([given] if given else []) + tried)
    # The two best ranges decide the fit: the wrong ones would decide it by chance.
    best = [finding.contract for finding in findings[:2]]
    others = [replace(c, resize=r) for c in best for r in resizes if r != base.resize]
    return sorted(findings + _try(score, truth, others), key=_rank)


def _try(score: Score, truth: NDArray[np.int64], contracts: Iterable[Contract]) -> list[Finding]:
    findings = []
    for contract in dict.fromkeys(contracts):
        scores = score(contract)
        own = scores[np.arange(len(truth)), truth]
        # NaN from an overflow is the worst answer, not the best.
        credits_ = np.log(np.clip(np.nan_to_num(own), LEAST_CREDIT, 1.0))
        accuracy = float((scores.argmax(axis=1) == truth).mean())
        name = name_of(contract)
        findings.append(Finding(name, contract, accuracy, float(credits_.mean()), credits_))
    return sorted(findings, key=_rank)


def _rank(finding: Finding) -> float:
    return -finding.credit


def clearly_better(one: Finding, other: Finding) -> bool:
    """Whether the labels support `one` beyond chance, picture by picture."""
    gain = one.credits - other.credits
    error = float(gain.std(ddof=1)) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
    mean = float(gain.mean())
    return mean > MATTERS and mean > SURE * error


def equal(one: Finding, other: Finding) -> bool:
    """Whether the pictures can't tell the two apart at all."""
    return bool(np.allclose(one.credits, other.credits, atol=1e-3))


def table(findings: Sequence[Finding], rows: int = 8) -> str:
    """The best contracts for people."""
    lines = ["preprocessing                        accuracy   credit"]
    lines += [f"  {f.name:<34} {f.accuracy:7.1%} {f.credit:8.3f}" for f in findings[:rows]]
    return "\n".join(lines)


def order_hint(scores: NDArray[np.float64], truth: NDArray[np.int64], labels: Sequence[str]) -> str:
    """A sentence if the labels seem to stand in another order than the model's; else empty."""
    said = scores.argmax(axis=1)
    present = np.unique(truth)
    often = [np.bincount(said[truth == t], minlength=len(labels)).argmax() for t in present]
    if len(set(often)) < len(often) or all(a == b for a, b in zip(often, present, strict=True)):
        return ""
    renamed = dict(zip((int(place) for place in often), present, strict=True))
    right = float(np.mean([renamed.get(int(s), -1) == t for s, t in zip(said, truth, strict=True)]))
    if right < 0.7 or right - float((said == truth).mean()) < 0.3:
        return ""
    order = [labels[renamed[p]] if p in renamed else "?" for p in range(len(labels))]
    return (
        f"the labels seem to stand in another order than the model's: {right:.0%} of the pictures "
        f"would be right with {', '.join(order)}"
    )
