"""Trigger to Inspection: the loop that owns the interpreter. The deadline is met here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

import cv2

from camera.capture import Capture, NoFrame
from camera.frame import Frame
from camera.latency import Latency
from camera.station import Answer, Refused, Shot, Station
from edge_app.inference.budget import Deadline, Stopwatch, TooLate
from edge_app.inference.decode import BadImage
from edge_app.inference.engine import Engine
from edge_app.inference.interpreter import ModelFailed
from edge_app.inference.judge import Code, Decision, Limits, Verdict, judge, no_decision
from edge_app.inference.preprocess import Image
from edge_app.inference.tasks import Prediction
from edge_app.jobs import Job
from edge_app.records.archive import Archive, encode_jpeg
from edge_app.records.database import Counters
from edge_app.records.inspection import Inspection
from edge_app.records.recorder import Recorder

BEAT_S = 0.1
"""The heartbeat's period, and so the longest the idle loop sleeps."""

SELF_TEST_S = 5.0
"""An idle loop runs the model this often, so that its heartbeat is earned."""

COMMIT_SHARE = 0.1
"""Share of the budget that an answer may wait for its record to be on disk."""

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedJob:
    """A job whose model has proved itself, is warm and can be switched to between two frames.

    Args:
        job: The recipe.
        engine: Its model.
        model: Name and version, e.g. `flange/3`.
        limits: What to judge by: the job's own, else the model's.
    """

    job: Job
    engine: Engine
    model: str
    limits: Limits


class Line:
    """Inspects one shot at a time, in the thread that calls `run`.

    Args:
        name: The camera's name.
        capture: Where frames come from.
        station: Where triggers come from and answers go.
        recorder: Where inspections go.
        archive: Where pictures go.
        load: Loads a job with a warm model; called in a thread of its own.
        free_run_hz: Shots per second that the line fires itself; 0 for none.
        max_frame_age_ms: An older frame is not judged.
        rotation: Degrees by which pictures are turned: 0, 90, 180 or 270.
        alive: Called after each turn of the loop; feeds the watchdog.
    """

    def __init__(
        self,
        *,
        name: str,
        capture: Capture,
        station: Station,
        recorder: Recorder,
        archive: Archive,
        load: Callable[[int], LoadedJob],
        free_run_hz: float = 0.0,
        max_frame_age_ms: float = 500.0,
        rotation: int = 0,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.capture = capture
        self.station = station
        self.recorder = recorder
        self.archive = archive
        self.latency = Latency()
        self._load = load
        self._free_run_s = 1 / free_run_hz if free_run_hz else 0.0
        self._max_frame_age_ms = max_frame_age_ms
        self._rotation = rotation
        self._alive = alive
        self._stopping = False
        self._loading: tuple[int, Future[LoadedJob]] | None = None
        self.loaded: LoadedJob | None = None
        self.fault = ""
        self.last_picture: tuple[int, Image] | None = None
        self.last_ng_picture: tuple[int, Image] | None = None
        self.beat = 0
        self._beat_due = self._free_run_due = self._worked_at = time.monotonic()

    def load_job(self, number: int, *, keep_ready: bool = False) -> None:
        """Begin to load a job (or the active model of the present one) beside the loop.

        Args:
            number: The job.
            keep_ready: Go on inspecting with the old model until the new one is warm; else
                Ready is low until then.
        """
        if not keep_ready:
            self.station.close(Code.JOB_LOADING, f"job {number} is loading")
        future: Future[LoadedJob] = Future()

        def work() -> None:
            try:
                future.set_result(self._load(number))
            # The loop's edge: whatever went wrong is the loader's answer.
            except Exception as error:  # noqa: BLE001 - logged where it is looked at
                future.set_exception(error)

        self._loading = (number, future)
        threading.Thread(target=work, name=f"loader-{number}", daemon=True).start()

    def reset_shift(self, who: str) -> Counters:
        """Start the shift's counters anew; the closing values are logged and returned."""
        closing = self.station.reset_shift()
        log.info("shift counters reset by %s: %s, total %d", who, closing, closing.total)
        return closing

    @property
    def loading(self) -> bool:
        """Whether a job or model is being loaded."""
        return self._loading is not None

    def stop(self) -> None:
        """Let `run` return after the shot in work."""
        self._stopping = True

    def run(self) -> None:
        """Inspect until `stop`. The heartbeat is earned: one turn of this loop each."""
        while not self._stopping:
            self.turn()
            self._alive()

    def turn(self) -> None:
        """One turn of the loop: at most one shot, one switch of jobs, one heartbeat."""
        self._switch_job()
        self._fire_freely()
        wait_s = max(0.0, min(self._beat_due, self._next_free_run()) - time.monotonic())
        if (shot := self.station.take(wait_s)) is not None:
            self._inspect(shot)
        elif time.monotonic() - self._worked_at > SELF_TEST_S:
            self._test_self()
        self._beat()

    def _next_free_run(self) -> float:
        return self._free_run_due if self._free_run_s else float("inf")

    def _fire_freely(self) -> None:
        now = time.monotonic()
        if not self._free_run_s or now < self._free_run_due:
            return
        # Moments that went by unused are not made up for: parts don't come twice.
        self._free_run_due = max(self._free_run_due + self._free_run_s, now)
        if self.station.ready:
            try:
                self.station.fire("free")
            except Refused as refusal:
                log.debug("free run: %s", refusal)

    def _beat(self) -> None:
        now = time.monotonic()
        if now >= self._beat_due:
            self.beat = (self.beat + 1) % 65_536
            self._beat_due += BEAT_S
            if self._beat_due <= now:
                # Beats that a long inspection swallowed are not made up for: nobody earned them.
                self._beat_due = now + BEAT_S

    def _test_self(self) -> None:
        self._worked_at = time.monotonic()
        if self.loaded is not None:
            try:
                self.loaded.engine.warm(runs=1)
                self.fault = ""
            except ModelFailed as error:
                self._log_fault(f"the model failed its self-test: {error}")

    def _log_fault(self, fault: str) -> None:
        if self.fault != fault:
            log.error("%s", fault)
        self.fault = fault

    def _switch_job(self) -> None:
        if self._loading is None or not self._loading[1].done():
            return
        number, future = self._loading
        self._loading = None
        try:
            self.loaded = future.result()
            self.fault = ""
            log.info("job %d runs with model %s", number, self.loaded.model)
        # The loop's edge: a job that can't be loaded leaves the old one running.
        except Exception as error:  # noqa: BLE001 - _log_fault says it, once
            self._log_fault(f"job {number} was not loaded: {error}")
        self._worked_at = time.monotonic()
        # Without any job the line answers NONE, with its code, and stays up.
        self.station.open(self.loaded.job.number if self.loaded else number)

    def _inspect(self, shot: Shot) -> None:
        """See one shot through: whatever happens, it has an answer afterwards."""
        stopwatch = Stopwatch(last=shot.deadline.started_at)
        stopwatch.lap("queue")
        found = _Found()
        try:
            self._look(shot, stopwatch, found)
        # The loop's edge: one part's misfortune is never the next part's.
        except Exception as error:
            log.exception("trigger %d failed", shot.n)
            found.verdict = no_decision(Code.INTERNAL, f"{type(error).__name__}: {error}")
        try:
            self._answer(shot, stopwatch, found)
        # The same edge: a shot without its record still gets an answer, which is NONE.
        except Exception:
            log.exception("trigger %d could not be recorded", shot.n)
        finally:
            self.station.release(shot)
            self._worked_at = time.monotonic()

    def _look(self, shot: Shot, stopwatch: Stopwatch, found: _Found) -> None:
        if self.loaded is None:
            found.verdict = no_decision(Code.MODEL_FAILED, self.fault or "no model is loaded")
            return
        try:
            found.frame = frame = self._frame(shot.deadline)
            stopwatch.lap("frame")
            found.image = image = self._turned(frame.pixels())
            stopwatch.lap("decode")
            found.prediction = self.loaded.engine.predict(
                image, roi=self.loaded.job.roi, deadline=shot.deadline, stopwatch=stopwatch
            )
            found.verdict = judge(found.prediction, self.loaded.limits)
            stopwatch.lap("judge")
        except NoFrame as error:
            found.verdict = no_decision(Code.NO_FRAME, str(error))
        except _StaleFrame as error:
            found.verdict = no_decision(Code.STALE_FRAME, str(error))
        except BadImage as error:
            found.verdict = no_decision(Code.BAD_IMAGE, str(error))
        except TooLate as error:
            found.verdict = no_decision(Code.DEADLINE, str(error))
        except (ModelFailed, ValueError) as error:
            found.verdict = no_decision(Code.MODEL_FAILED, str(error))

    def _frame(self, deadline: Deadline) -> Frame:
        frame = self.capture.exposed_after(deadline.started_at, deadline)
        if frame.age_ms() > self._max_frame_age_ms:
            raise _StaleFrame(f"the newest frame is {frame.age_ms():.0f} ms old")
        return frame

    def _turned(self, image: Image) -> Image:
        if not self._rotation:
            return image
        turned: Image = cv2.rotate(image, TURNS[self._rotation]).astype("uint8", copy=False)
        return turned

    def _answer(self, shot: Shot, stopwatch: Stopwatch, found: _Found) -> None:
        """Record, then answer; past its share of the budget the answer goes first."""
        ms = shot.deadline.used_ms()
        inspection = self._inspection(shot, stopwatch, found, ms)
        if found.image is not None and self.archive.wants(found.verdict.decision):
            image = found.image
            name = self.archive.add(shot.id, lambda: encode_jpeg(image))
            inspection = replace(inspection, image=name)
        committed = self.recorder.add(inspection)
        left_s = shot.deadline.left_s() - 0.01
        in_time = committed.wait(
            max(0.0, min(left_s, shot.deadline.budget_ms / 1000 * COMMIT_SHARE))
        )
        answer = Answer(
            verdict=found.verdict,
            ms=ms,
            label=inspection.label,
            label_index=inspection.label_index,
            score=inspection.score,
            warning=Code.FINE if in_time else Code.STORAGE,
        )
        if self.station.settle(shot, answer):
            self.latency.add(shot.deadline.used_ms())
        else:
            self._keep_late(shot, inspection)
        if found.image is not None:
            self.last_picture = (shot.id, found.image)
            if found.verdict.decision is Decision.NG:
                self.last_ng_picture = self.last_picture

    def _keep_late(self, shot: Shot, inspection: Inspection) -> None:
        """What came after the deadline is kept as late; the answer stays what it was."""
        late_ms = shot.deadline.used_ms()
        log.warning("trigger %d: %s came %.0f ms late", shot.n, inspection.decision, late_ms)
        final = shot.answer.verdict if shot.answer else Verdict()
        self.recorder.add(
            replace(
                inspection,
                decision=final.decision,
                code=final.code,
                reason=final.reason,
                late_decision=str(inspection.decision),
                late_ms=late_ms,
            )
        )

    def _inspection(self, shot: Shot, stopwatch: Stopwatch, found: _Found, ms: float) -> Inspection:
        prediction = found.prediction or Prediction(score=0.0)
        exposed_at = found.frame.captured_at if found.frame else shot.deadline.started_at
        return Inspection(
            id=shot.id,
            camera=self.name,
            source=shot.source,
            trigger=shot.n,
            part=shot.part,
            job=shot.job,
            model=self.loaded.model if self.loaded else "",
            decision=found.verdict.decision,
            code=found.verdict.code,
            reason=found.verdict.reason,
            label=prediction.label,
            label_index=prediction.label_index,
            score=prediction.score if prediction.score == prediction.score else 0.0,
            scores=prediction.scores,
            laps_ms=stopwatch.laps_ms,
            total_ms=ms,
            captured_at=time.time() - (time.monotonic() - exposed_at),
            test=shot.test,
        )


@dataclass(slots=True)
class _Found:
    """What is known of a shot so far; it begins as no decision."""

    verdict: Verdict = Verdict()  # noqa: RUF009 - frozen
    frame: Frame | None = None
    image: Image | None = None
    prediction: Prediction | None = None


class _StaleFrame(Exception):  # noqa: N818 - a fact about the frame
    """The frame is too old to be judged as if it were new."""


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
            )
        )

    return answered
