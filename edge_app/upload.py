"""One uploaded picture on its way: whatever happens to it ends in exactly one record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edge_app.engines import LoadedModel
from edge_app.inference.budget import Deadline, Stopwatch
from edge_app.inference.decode import Decoded
from edge_app.inference.interpreter import ModelFailed
from edge_app.inference.judge import Code, Verdict, judge, no_decision
from edge_app.inference.tasks import Prediction
from edge_app.records.findings import Findings, best_scores
from edge_app.records.inspection import Inspection

CAMERA = "upload"

Decode = Callable[[bytes, Callable[[int, int], float]], Decoded]
"""Decodes a file, given how many times smaller a picture of a size may be."""

WAITING = ("queue", "wait")
"""Laps that are no work."""


@dataclass(frozen=True, slots=True)
class Judged:
    """An upload with everything that is known of it.

    Args:
        inspection: As it is recorded.
        prediction: What the model said.
        width_px: The picture's width.
        height_px: Its height.
        committed: Whether the record outlived the program when the answer went out.
    """

    inspection: Inspection
    prediction: Prediction
    width_px: int
    height_px: int
    committed: bool = True


@dataclass(slots=True)
class Upload:
    """A picture, its deadline and its id; they stay together through every thread.

    Args:
        id: The inspection's id.
        content: The picture file.
        deadline: When an answer is of no use any more.
        loaded: The model that looks at it.
        part: The part's id as the client gave it.
        request_id: The request that brought it.
        told: What the client was told when there was no answer by the deadline.
        stopwatch: Its laps; `queue` is the time since the last byte arrived.
    """

    id: int
    content: bytes
    deadline: Deadline
    loaded: LoadedModel
    part: str = ""
    request_id: str = ""
    told: Inspection | None = None
    stopwatch: Stopwatch = field(init=False)

    def __post_init__(self) -> None:
        self.stopwatch = Stopwatch(last=self.deadline.started_at)

    def work(self, decode: Decode) -> Judged:
        """Decode, run the model, judge; called by the crew.

        Raises:
            TooLate: The deadline passed before the model began.
            BadImage: The bytes are no picture.
            ModelFailed: The runtime gave up, or gave what no such model gives.
        """
        self.stopwatch.lap("queue")
        self.deadline.check("the work began")
        engine = self.loaded.engine
        decoded = decode(self.content, engine.room)
        self.stopwatch.lap("decode")
        self.deadline.check("the picture was decoded")
        try:
            prediction = engine.predict(
                decoded.image,
                reduction=decoded.reduction,
                full_size=decoded.full_size,
                deadline=self.deadline,
                stopwatch=self.stopwatch,
            )
        except ValueError as error:
            raise ModelFailed(str(error)) from error
        verdict = judge(prediction, engine.spec.limits)
        self.stopwatch.lap("judge")
        return Judged(self._inspection(verdict, prediction), prediction, *decoded.full_size)

    def expired(self) -> Inspection:
        """The record of an upload without an answer by its deadline, the same each time."""
        if self.told is not None:
            return self.told
        budget_ms = self.deadline.budget_ms
        return self._inspection(
            no_decision(Code.DEADLINE, f"no answer within {budget_ms:.0f} ms"), Prediction()
        )

    def failed(self, error: Exception) -> Inspection:
        """The record of an upload that the model failed on."""
        return self._inspection(no_decision(Code.MODEL_FAILED, str(error)), Prediction())

    def late(self, judged: Inspection) -> Inspection:
        """The record of an upload whose answer came after its deadline: kept, never sent."""
        expired = self.expired()
        return replace(
            judged,
            decision=expired.decision,
            code=expired.code,
            reason=expired.reason,
            total_ms=expired.total_ms,
            image=expired.image,
            late_decision=str(judged.decision),
            late_ms=judged.total_ms,
        )

    def _inspection(self, verdict: Verdict, prediction: Prediction) -> Inspection:
        used_ms = self.deadline.used_ms()
        return Inspection(
            id=self.id,
            camera=CAMERA,
            source=CAMERA,
            part=self.part,
            model=self.loaded.label,
            decision=verdict.decision,
            code=verdict.code,
            reason=verdict.reason,
            label=prediction.label,
            label_index=prediction.label_index,
            score=prediction.score if math.isfinite(prediction.score) else 0.0,
            scores=best_scores(prediction.scores, self.loaded.engine.spec.limits.labels),
            laps_ms=dict(self.stopwatch.laps_ms),
            total_ms=used_ms,
            captured_at=time.time() - used_ms / 1000,
            request_id=self.request_id,
            findings=Findings.of(prediction),
        )
