"""From a shot to what was seen: frames exposed after the trigger, the model, the judgement."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2

from camera.capture import Capture, NoFrame, StaleFrame
from camera.frame import Frame
from camera.loader import LoadedJob
from camera.shot import Shot
from edge_app.inference.budget import Deadline, Stopwatch, TooLate
from edge_app.inference.decode import BadImage
from edge_app.inference.interpreter import ModelFailed
from edge_app.inference.judge import SEVERITY, Code, Decision, Verdict, judge, no_decision
from edge_app.inference.preprocess import Image, Roi
from edge_app.inference.tasks import Prediction

FRAME_SHARE = 0.9
"""Share of the budget that may go by waiting for a frame: what is left is needed to say so."""

ANOTHER_S = 1e-6
"""Two exposures are never at the same moment: no frame is judged for two parts."""

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(slots=True)
class Found:
    """What is known of a shot so far; it begins as no decision."""

    verdict: Verdict = field(default_factory=Verdict)
    frame: Frame | None = None
    image: Image | None = None
    prediction: Prediction | None = None


class Eye:
    """Looks at parts.

    Args:
        capture: Where frames come from.
        max_frame_age_ms: An older frame is not judged.
        rotation: Degrees by which pictures are turned: 0, 90, 180 or 270.
        roi: The part of the camera's picture that is used at all, before it is turned.
    """

    def __init__(
        self,
        capture: Capture,
        *,
        max_frame_age_ms: float = 500.0,
        rotation: int = 0,
        roi: Roi | None = None,
    ) -> None:
        self._capture = capture
        self._max_frame_age_ms = max_frame_age_ms
        self._rotation = rotation
        self._roi = roi
        self._used_at = float("-inf")

    def look(self, shot: Shot, loaded: LoadedJob, stopwatch: Stopwatch, found: Found) -> None:
        """Fill in what is seen of the part; of several pictures the worst decides.

        Args:
            shot: The trigger.
            loaded: The job it was fired under.
            stopwatch: Gets a lap for each stage.
            found: Is filled in as far as it goes.
        """
        job = loaded.job
        moment = first_moment(shot, loaded)
        for number in range(job.shots):
            one = Found()
            self._look_once(shot.deadline, moment, loaded, stopwatch, one)
            if number == 0 or _worse(one.verdict, found.verdict):
                found.verdict, found.frame = one.verdict, one.frame
                found.image, found.prediction = one.image, one.prediction
            if one.verdict.decision is Decision.NONE or one.frame is None:
                return
            moment = one.frame.captured_at + job.interval_ms / 1000

    def _look_once(
        self,
        deadline: Deadline,
        moment: float,
        loaded: LoadedJob,
        stopwatch: Stopwatch,
        found: Found,
    ) -> None:
        try:
            found.frame = frame = self._frame(moment, deadline)
            stopwatch.lap("frame")
            found.image = image = self.upright(frame.pixels())
            stopwatch.lap("decode")
            found.prediction = loaded.engine.predict(
                image, roi=loaded.job.roi, deadline=deadline, stopwatch=stopwatch
            )
            found.verdict = judge(found.prediction, loaded.limits)
            stopwatch.lap("judge")
        except NoFrame as error:
            found.verdict = no_decision(Code.NO_FRAME, str(error))
        except StaleFrame as error:
            found.verdict = no_decision(Code.STALE_FRAME, str(error))
        except BadImage as error:
            found.verdict = no_decision(Code.BAD_IMAGE, str(error))
        except TooLate as error:
            found.verdict = no_decision(Code.DEADLINE, str(error))
        except (ModelFailed, ValueError) as error:
            found.verdict = no_decision(Code.MODEL_FAILED, str(error))

    def _frame(self, moment: float, deadline: Deadline) -> Frame:
        patience = Deadline(deadline.started_at, deadline.budget_ms * FRAME_SHARE)
        # A trigger that waited in its thread while the part before was looked at can be older
        # than that part's frame; it still needs an exposure of its own.
        moment = max(moment, self._used_at + ANOTHER_S)
        frame = self._capture.exposed_after(moment, patience)
        self._used_at = frame.captured_at
        if frame.age_ms() > self._max_frame_age_ms:
            raise StaleFrame(f"the newest frame is {frame.age_ms():.0f} ms old")
        return frame

    def upright(self, image: Image) -> Image:
        """The camera's picture as jobs and people see it: cut and turned.

        Raises:
            ValueError: The region of interest lies outside the picture.
        """
        if self._roi is not None:
            image = self._roi.cut(image)
        if not self._rotation:
            return image
        turned: Image = cv2.rotate(image, TURNS[self._rotation]).astype("uint8", copy=False)
        return turned


def first_moment(shot: Shot, loaded: LoadedJob) -> float:
    """When the first picture of a part may be exposed, monotonic seconds."""
    return shot.deadline.started_at + loaded.job.delay_ms / 1000


def _worse(one: Verdict, other: Verdict) -> bool:
    return SEVERITY.index(one.decision) > SEVERITY.index(other.decision)
