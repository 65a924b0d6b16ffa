"""CIFAR-10's ResNet-8 with one layer whose channels differ widely: int8 ruins it.

Runs in a process of its own. Arguments: the network's .h5, output .keras. Half of the channels
between two convolutions are made larger by a factor and the next layer's weights smaller by the
same: in float the network answers as before, but one step size can't serve all its channels.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

FACTOR = 300.0


def main(source: Path, output: Path) -> None:
    """Widen the first block's inner layer."""
    model = keras.models.load_model(source, compile=False)
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    inner, after = norms[1], convolutions[2]
    factors = np.where(np.arange(inner.gamma.shape[0]) % 2, FACTOR, 1.0).astype(np.float32)
    # A ReLU lies between: it lets a positive factor through.
    inner.gamma.assign(inner.gamma * factors)
    inner.beta.assign(inner.beta * factors)
    after.kernel.assign(after.kernel / factors[None, None, :, None])
    model.save(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
