"""What is recorded of a shot."""

from __future__ import annotations

import time
from collections.abc import Callable

from camera.loader import LoadedJob
from camera.look import Found
from camera.shot import Shot
from edge_app.inference.budget import Stopwatch
from edge_app.inference.judge import Code
from edge_app.inference.tasks import Prediction
from edge_app.records.findings import Findings, best_scores
from edge_app.records.inspection import Inspection
from edge_app.records.recorder import Recorder


def inspection_of(
    camera: str,
    shot: Shot,
    loaded: LoadedJob | None,
    stopwatch: Stopwatch,
    found: Found,
    *,
    ms: float,
    warning: Code = Code.FINE,
    picture: str = "",
) -> Inspection:
    """The record of a shot that was looked at.

    Args:
        camera: The camera's name.
        shot: The trigger.
        loaded: The job it was judged by.
        stopwatch: Its laps.
        found: What was seen.
        ms: From the trigger to the decision.
        warning: What was not in order meanwhile.
        picture: The kept picture's name, or empty.
    """
    prediction = found.prediction or Prediction(score=0.0)
    exposed_at = found.frame.captured_at if found.frame else shot.deadline.started_at
    return Inspection(
        id=shot.id,
        camera=camera,
        source=shot.source,
        trigger=shot.n,
        part=shot.part,
        job=shot.job,
        model=loaded.model if loaded else "",
        job_crc=loaded.crc if loaded else 0,
        decision=found.verdict.decision,
        code=found.verdict.code,
        reason=found.verdict.reason,
        label=prediction.label,
        label_index=prediction.label_index,
        score=prediction.score if prediction.score == prediction.score else 0.0,
        scores=best_scores(prediction.scores, loaded.limits.labels if loaded else ()),
        laps_ms=stopwatch.laps_ms,
        total_ms=ms,
        captured_at=time.time() - (time.monotonic() - exposed_at),
        image=picture,
        test=shot.test,
        request_id=shot.request_id,
        findings=Findings.of(prediction),
        warning=warning,
    )


def record_expired(recorder: Recorder, camera: str) -> Callable[[Shot], None]:
    """For `Station(answered=...)`: records a shot the moment the deadline answers it.

    The inspection loop may be stuck in the model just then; it completes the row later.
    """

    def answered(shot: Shot) -> None:
        answer = shot.answer
        if answer is None or answer.verdict.code is not Code.DEADLINE:
            return
        recorder.add(
            Inspection(
                id=shot.id,
                camera=camera,
                source=shot.source,
                trigger=shot.n,
                part=shot.part,
                job=shot.job,
                decision=answer.verdict.decision,
                code=answer.verdict.code,
                reason=answer.verdict.reason,
                total_ms=answer.ms,
                test=shot.test,
                request_id=shot.request_id,
            )
        )

    return answered
