"""One interpreter, warm, one caller at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.budget import Deadline, Stopwatch, TooLate
from edge_app.inference.bundle import ModelBundle
from edge_app.inference.interpreter import Interpreter, ModelFailed, default_runtime
from edge_app.inference.preprocess import Image, Preprocessor, Roi
from edge_app.inference.tasks import Prediction, interpret
from edge_app.inference.tensor import Array, TensorInfo
from edge_app.inference.view import View

WARM_UP_RUNS = 3
"""First invokes allocate and pack weights: the second is still slow, the fourth is not."""

ROWS_AT_ONCE = 8
"""Rows of an array that go through the model in one run: a picture that comes meanwhile waits
for no more than these."""

REDUCTION_MARGIN = 2
"""Decoded pixels that are left for one of the model's, each way. With 1, scores moved by up to
0.34 over 72 pictures; with 2, by up to 0.11, which is what runtimes differ by too."""

log = logging.getLogger(__name__)


class Invoker(Protocol):
    """What the engine needs of an interpreter; tests give it a stalling one."""

    runtime: str
    threads: int
    tensor_bytes: int

    @property
    def inputs(self) -> tuple[TensorInfo, ...]: ...  # noqa: D102 - see Interpreter
    @property
    def outputs(self) -> tuple[TensorInfo, ...]: ...  # noqa: D102 - see Interpreter
    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]: ...  # noqa: D102
    def invoke_rows(self, rows: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]: ...  # noqa: D102


class Engine:
    """Runs one model on pictures or tensors.

    Args:
        bundle: The model.
        runtime: A runtime's name; empty for the device's default.
        threads: Threads for one invoke.
        load: Makes the interpreter; a seam for tests.

    Raises:
        ModelFailed: The runtime refuses the model.
        ValueError: The model's input can't take the contract's pictures.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        runtime: str = "",
        threads: int = 1,
        load: Callable[[bytes, str, int], Invoker] = Interpreter,
    ) -> None:
        # Not the bundle: its golden set has proved what it had to, and need not stay in memory.
        self.spec, self.sha256 = bundle.spec, bundle.sha256
        self._invoker = load(bundle.flatbuffer, runtime or default_runtime(), threads)
        self.memory_bytes = len(bundle.flatbuffer) + self._invoker.tensor_bytes
        """About what an engine holds in memory.

        The runtime reads from the flatbuffer and packs the weights once more. The tensors count
        them that second time, and add the values between the layers as if none shared a place.
        With LiteRT, seven models of 0.3 to 4.2 MB made the process grow by 0.7 to 1.5 times this;
        by more than this only those of less than 0.6 MB.
        """
        self._lock = threading.Lock()
        self._widens: bool | None = None
        contract = bundle.spec.contract
        self._preprocessor = Preprocessor(contract, self.inputs[0]) if contract else None

    @property
    def runtime(self) -> str:
        """The runtime in use."""
        return self._invoker.runtime

    @property
    def threads(self) -> int:
        """Threads for one invoke."""
        return self._invoker.threads

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """The model's inputs."""
        return self._invoker.inputs

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The model's outputs."""
        return self._invoker.outputs

    @property
    def busy(self) -> bool:
        """Whether the model is being run right now."""
        return self._lock.locked()

    def warm(self, runs: int = WARM_UP_RUNS) -> float:
        """Run the model on grey a few times; returns the last run's milliseconds."""
        tensors = {info.name: blank(info) for info in self.inputs}
        spent_ms = 0.0
        for _ in range(runs):
            stopwatch = Stopwatch()
            with self._lock:
                self._invoker.invoke(tensors)
            spent_ms = stopwatch.lap("invoke")
        return spent_ms

    def room(self, width_px: int, height_px: int, roi: Roi | None = None) -> float:
        """How many times smaller a picture may be decoded without the model missing any of it.

        More than 1 only where the contract averages pixels (kernel `area`): then it makes
        no difference whether the decoder takes the averages or the preprocessing does.

        Args:
            width_px: The whole picture's.
            height_px: The same.
            roi: The part of it that is looked at.
        """
        if self._preprocessor is None or self._preprocessor.contract.kernel != "area":
            return 1.0
        width, height = (roi.width, roi.height) if roi else (width_px, height_px)
        across, down = width / self._preprocessor.width_px, height / self._preprocessor.height_px
        return max(1.0, min(across, down) / REDUCTION_MARGIN)

    def predict(
        self,
        image: Image,
        *,
        roi: Roi | None = None,
        reduction: int = 1,
        full_size: tuple[int, int] | None = None,
        deadline: Deadline | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> Prediction:
        """What the model says of one picture.

        Args:
            image: Blue-green-red, any size.
            roi: The part of it to look at, in pixels of the source.
            reduction: Source pixels for one of the image's, where it was decoded smaller.
            full_size: Width and height of the source then; the image's own otherwise.
            deadline: Bounds the wait for the interpreter.
            stopwatch: Gets the laps `preprocess`, `wait`, `invoke` and `postprocess`.

        Raises:
            TooLate: The deadline passed before the model began.
            ModelFailed: The runtime gave up.
            ValueError: The model takes no pictures, or the ROI lies outside this one.
        """
        if self._preprocessor is None:
            raise ValueError(f"model {self.spec.name} takes tensors, not pictures")
        stopwatch = stopwatch or Stopwatch()
        width, height = full_size or (image.shape[1] * reduction, image.shape[0] * reduction)
        region = roi or Roi(0, 0, width, height)
        pixels, geometry = self._preprocessor.fit(_cut(image, roi, reduction))
        tensor = self._preprocessor.normalise(pixels)
        tensors = {self.inputs[0].name: tensor}
        stopwatch.lap("preprocess")
        outputs = self.run(tensors, deadline=deadline, stopwatch=stopwatch)
        view = View(
            geometry.enlarged(reduction).moved(roi),
            self._preprocessor.width_px,
            self._preprocessor.height_px,
            region,
        )
        prediction = interpret(self.spec.task, outputs, view, self._real(tensors))
        stopwatch.lap("postprocess")
        return prediction if prediction.heat is None else replace(prediction, region=region)

    def predict_tensors(
        self,
        tensors: Mapping[str, Array],
        *,
        deadline: Deadline | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> Prediction:
        """What the model says of ready tensors; boxes in shares of the model's input.

        Raises:
            TooLate: The deadline passed before the model began.
            ModelFailed: The runtime gave up, or the arrays don't fit.
            ValueError: The outputs are not what the model's task gives.
        """
        stopwatch = stopwatch or Stopwatch()
        outputs = self.run(tensors, deadline=deadline, stopwatch=stopwatch)
        prediction = interpret(self.spec.task, outputs, None, self._real(tensors))
        stopwatch.lap("postprocess")
        return prediction

    def _real(self, tensors: Mapping[str, Array]) -> dict[str, NDArray[np.float32]]:
        """What went in, in real values; only an autoencoder is held against it."""
        if self.spec.task.kind != "autoencoder":
            return {}
        return {info.name: info.dequantize(tensors[info.name]) for info in self.inputs}

    def run_rows(
        self,
        rows: Sequence[Mapping[str, Array]],
        *,
        deadline: Deadline | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> list[dict[str, NDArray[np.float32]]]:
        """Run the model on an array's rows, several at once where it can be widened.

        Whether it can is found out at its first array, whose rows also go through it one by
        one: the answers have to be the same.

        Raises:
            TooLate: The deadline passed before all were done.
            ModelFailed: The runtime gave up, or the arrays don't fit.
        """
        stopwatch = stopwatch or Stopwatch()
        answers: list[dict[str, NDArray[np.float32]]] = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            answers += self._several(some, deadline, stopwatch)
        return answers

    def _several(
        self, rows: Sequence[Mapping[str, Array]], deadline: Deadline | None, stopwatch: Stopwatch
    ) -> list[dict[str, NDArray[np.float32]]]:
        if len(rows) > 1 and self._widens is not False:
            try:
                wide = self._run_wide(rows, deadline, stopwatch)
            except ModelFailed as error:
                log.info("%s runs arrays row by row: %s", self.spec.name, error)
                self._widens = False
            else:
                if self._widens:
                    return wide
                single = [self.run(r, deadline=deadline, stopwatch=stopwatch) for r in rows]
                self._widens = _same(wide, single)
                return single
        return [self.run(row, deadline=deadline, stopwatch=stopwatch) for row in rows]

    def _run_wide(
        self, rows: Sequence[Mapping[str, Array]], deadline: Deadline | None, stopwatch: Stopwatch
    ) -> list[dict[str, NDArray[np.float32]]]:
        with self._alone(deadline, stopwatch):
            raw = self._invoker.invoke_rows(rows)
        stopwatch.lap("invoke")
        return [self._real_outputs(row) for row in raw]

    def run(
        self,
        tensors: Mapping[str, Array],
        *,
        deadline: Deadline | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """Run the model on ready tensors; real (dequantized) values by output name.

        Raises:
            TooLate: The deadline passed before the model began.
            ModelFailed: The runtime gave up, or the arrays don't fit.
        """
        stopwatch = stopwatch or Stopwatch()
        with self._alone(deadline, stopwatch):
            raw = self._invoker.invoke(tensors)
        stopwatch.lap("invoke")
        return self._real_outputs(raw)

    @contextlib.contextmanager
    def _alone(self, deadline: Deadline | None, stopwatch: Stopwatch) -> Iterator[None]:
        """The interpreter, for nobody else; its wait is a lap.

        Raises:
            TooLate: It was not to be had by the deadline.
        """
        if not self._lock.acquire(timeout=-1 if deadline is None else deadline.left_s()):
            raise TooLate("the model was still busy with another picture at the deadline")
        try:
            stopwatch.lap("wait")
            if deadline is not None:
                deadline.check("the model began")
            yield
        finally:
            self._lock.release()

    def _real_outputs(self, raw: Mapping[str, Array]) -> dict[str, NDArray[np.float32]]:
        return {info.name: info.dequantize(raw[info.name]) for info in self.outputs}


def _same(
    some: Sequence[Mapping[str, NDArray[np.float32]]],
    others: Sequence[Mapping[str, NDArray[np.float32]]],
) -> bool:
    """Whether answers are equal but for the last bits of a float."""
    return all(
        np.allclose(one[name], other[name], rtol=1e-5, atol=1e-6, equal_nan=True)
        for one, other in zip(some, others, strict=True)
        for name in one
    )


def blank(info: TensorInfo) -> Array:
    """An input of zeros: any valid values do for warming up."""
    return np.zeros([max(1, size) for size in info.shape], dtype=info.dtype)


def _cut(image: Image, roi: Roi | None, reduction: int) -> Image:
    if roi is None:
        return image
    if reduction == 1:
        return roi.cut(image)
    # The reduced picture's edge may hold part of a pixel more than the source has.
    smaller = Roi(
        roi.x // reduction,
        roi.y // reduction,
        max(1, roi.width // reduction),
        max(1, roi.height // reduction),
    )
    return smaller.cut(image)
