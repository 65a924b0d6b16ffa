"""Judges uploaded pictures and tensors: the one core behind every HTTP dialect."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge_app.door import Door
from edge_app.engines import Engines, LoadedModel
from edge_app.inference.budget import Deadline, Stopwatch, TooLate
from edge_app.inference.decode import decode_image
from edge_app.inference.judge import judge
from edge_app.inference.tasks import Prediction
from edge_app.inference.tensor import Array, TensorInfo
from edge_app.records.archive import Archive
from edge_app.records.ids import Ids
from edge_app.records.inspection import Inspection
from edge_app.records.recorder import Recorder

CAMERA = "upload"
MAX_BATCH = 64
COMMIT_SHARE = 0.1
"""Share of the budget that an answer may wait for its record to be on disk."""


class BadTensor(Exception):  # noqa: N818 - the caller's fault, read as a sentence where it is raised
    """The numbers don't fit the model; says what it expects and what came."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An upload with everything that is known of it."""

    inspection: Inspection
    prediction: Prediction
    width_px: int
    height_px: int


class Uploads:
    """Takes what clients send through admission, decoding, model, verdict and record.

    Args:
        engines: The models.
        door: Admission.
        ids: Inspection ids.
        recorder: Where inspections go.
        archive: Where pictures go.
        max_bytes: Largest picture file.
        max_pixels: Largest picture.
    """

    def __init__(
        self,
        *,
        engines: Engines,
        door: Door,
        ids: Ids,
        recorder: Recorder,
        archive: Archive,
        max_bytes: int,
        max_pixels: int,
    ) -> None:
        self.engines = engines
        self.door = door
        self.recorder = recorder
        self.archive = archive
        self._ids = ids
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels

    def judge_image(
        self, content: bytes, deadline: Deadline, *, model: str = "", part: str = ""
    ) -> Judged:
        """Judge a picture, answer by the deadline.

        Raises:
            Busy: It could not be answered in time.
            TooLate: It was not.
            BadImage: The bytes are no picture.
            UnknownModel: There is no such model.
            ModelFailed: The runtime gave up.
        """
        loaded = self.engines.get(model)
        with self.door.enter(deadline):
            stopwatch = Stopwatch(last=deadline.started_at)
            stopwatch.lap("queue")
            image = decode_image(content, max_bytes=self._max_bytes, max_pixels=self._max_pixels)
            stopwatch.lap("decode")
            deadline.check("the picture was decoded")
            prediction = loaded.engine.predict(image, deadline=deadline, stopwatch=stopwatch)
            verdict = judge(prediction, loaded.engine.spec.limits)
            stopwatch.lap("judge")
            self._learn(stopwatch)
            deadline.check("the model was done")
        inspection = Inspection(
            id=self._ids.next(),
            camera=CAMERA,
            source=CAMERA,
            part=part,
            model=loaded.label,
            decision=verdict.decision,
            code=verdict.code,
            reason=verdict.reason,
            label=prediction.label,
            label_index=prediction.label_index,
            score=float(np.nan_to_num(prediction.score)),
            scores=prediction.scores,
            laps_ms=dict(stopwatch.laps_ms),
            total_ms=deadline.used_ms(),
            captured_at=time.time() - deadline.used_ms() / 1000,
        )
        if self.archive.wants(verdict.decision):
            # Kept as it came: what the model saw can be looked at again, bit for bit.
            inspection = replace(inspection, image=self.archive.add(inspection.id, lambda: content))
        committed = self.recorder.add(inspection)
        committed.wait(min(deadline.left_s(), deadline.budget_ms / 1000 * COMMIT_SHARE))
        height, width = image.shape[:2]
        return Judged(inspection, prediction, width, height)

    def run_tensors(
        self, tensors: Mapping[str, Array], deadline: Deadline, *, model: str = ""
    ) -> dict[str, NDArray[np.float32]]:
        """Run a model on numbers, one row after the other.

        Args:
            tensors: Real values by input name, with or without the batch's dimension.
            deadline: When an answer is of no use any more.
            model: Which; empty for the default one.

        Returns:
            Real values by output name, the batch first.

        Raises:
            BadTensor: The numbers don't fit the model.
            Busy, TooLate, UnknownModel, ModelFailed: As for pictures.
        """
        loaded = self.engines.get(model)
        rows = fit_rows(loaded, tensors)
        with self.door.enter(deadline):
            stopwatch = Stopwatch()
            answers = []
            for row in rows:
                deadline.check("all rows were done")
                answers.append(loaded.engine.run(row, deadline=deadline, stopwatch=stopwatch))
            if deadline.passed():
                raise TooLate("the deadline passed before all rows were done")
        return {name: np.concatenate([a[name] for a in answers]) for name in answers[0]}

    def _learn(self, stopwatch: Stopwatch) -> None:
        waited = ("queue", "wait")
        self.door.measured(sum(ms for lap, ms in stopwatch.laps_ms.items() if lap not in waited))


def fit_rows(loaded: LoadedModel, tensors: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Arrange a client's numbers as the model takes them, one dict for each row.

    Raises:
        BadTensor: A name, shape or type does not fit.
    """
    infos = {info.name: info for info in loaded.engine.inputs}
    if tensors.keys() != infos.keys():
        raise BadTensor(
            f"model {loaded.name} expects inputs {', '.join(infos)}; "
            f"got {', '.join(tensors) or 'none'}"
        )
    batches = {name: _batch(infos[name], values) for name, values in tensors.items()}
    sizes = {name: len(batch) for name, batch in batches.items()}
    if len(set(sizes.values())) != 1:
        raise BadTensor(f"expected as many rows for each input, got {sizes}")
    (count,) = set(sizes.values())
    if not 1 <= count <= MAX_BATCH:
        raise BadTensor(f"expected 1 to {MAX_BATCH} rows, got {count}")
    return [
        {name: infos[name].quantize(batch[row : row + 1]) for name, batch in batches.items()}
        for row in range(count)
    ]


def _batch(info: TensorInfo, values: Array) -> Array:
    row = tuple(info.shape[1:])
    if values.dtype.kind not in "biuf":
        raise BadTensor(f"input {info.name}: expected numbers of shape {[-1, *row]}")
    if values.shape == row:
        values = values[None]
    if values.shape[1:] != row or values.ndim != len(row) + 1:
        raise BadTensor(
            f"input {info.name}: expected shape {list(row)} or {[-1, *row]}, "
            f"got {list(values.shape)}"
        )
    if not np.isfinite(values).all():
        raise BadTensor(f"input {info.name}: expected finite numbers")
    return values
