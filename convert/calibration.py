"""What a model is shown: calibration and comparison through the device's own preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.album import Pixels
from edge_app.inference.preprocess import Contract, Preprocessor
from edge_app.inference.tensor import Array, TensorInfo

ENOUGH = 100
"""Pictures that a calibration should see: fewer leave rare activations out of range."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs for a model, in the form in which a golden set is kept.

    Args:
        inputs: By input name, n first: fitted uint8 pixels where there is a contract,
            else [n, *shape], the tensors themselves.
        contract: How pixels become tensor values; None for raw tensors.
    """

    inputs: Mapping[str, Array]
    contract: Contract | None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, places: Sequence[int] | Array) -> Samples:
        """The samples at these places."""
        chosen = np.asarray(places, dtype=np.int64)
        return Samples({k: v[chosen] for k, v in self.inputs.items()}, self.contract)

    def tensors(self, infos: Sequence[TensorInfo]) -> Iterator[dict[str, Array]]:
        """One feed after the other, in the types of the model's inputs."""
        if self.contract is not None:
            (info,) = infos
            (pixels,) = self.inputs.values()
            preprocessor = Preprocessor(self.contract, info)
            for one in pixels:
                yield {info.name: preprocessor.normalise(one)}
            return
        for place in range(len(self)):
            yield {i.name: i.quantize(self.inputs[i.name][place]) for i in infos}


def describe(calibration: Samples, counts: Mapping[str, int]) -> dict[str, Any]:
    """What the model file says of its calibration."""
    return {"samples": len(calibration), "by_label": dict(counts)}


def warnings_for(calibration: Samples, counts: Mapping[str, int]) -> list[str]:
    """What is doubtful about the calibration pictures, in sentences."""
    found = []
    if len(calibration) < ENOUGH:
        found.append(f"calibration saw only {len(calibration)} samples; {ENOUGH} or more are safer")
    if len(counts) > 1 and min(counts.values()) * 5 < max(counts.values()):
        rare, often = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        found.append(
            f"calibration is one-sided: {counts[rare]} of {rare!r} against "
            f"{counts[often]} of {often!r}"
        )
    if calibration.contract is not None:
        (pixels,) = calibration.inputs.values()
        found += _light(pixels)
    return found


def _light(pixels: Array) -> list[str]:
    """Pictures that use too little of the range that the model expects."""
    low, high = (int(value) for value in np.percentile(pixels, (0.5, 99.5)))
    if high - low < 64:
        return [f"the pictures use only the pixel values {low} to {high} of 0 to 255"]
    same = np.all(pixels == pixels[:1], axis=tuple(range(1, pixels.ndim)))
    if len(pixels) > 1 and same.all():
        return ["all calibration pictures are the same"]
    return []


def pictures(pixels: Pixels, name: str, contract: Contract) -> Samples:
    """Fitted pictures as samples of the input `name`."""
    return Samples({name: pixels.values}, contract)
