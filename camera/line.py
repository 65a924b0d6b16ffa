"""Trigger to Inspection: the loop that owns the interpreter. The deadline is met here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace

from camera.capture import Capture
from camera.entry import inspection_of
from camera.health import Doctor
from camera.latency import Latency
from camera.loader import LoadedJob, Loader
from camera.look import Eye, Found, first_moment
from camera.shot import Answer, Refused, Shot
from camera.sources import Tuning
from camera.station import Station
from camera.urgency import Urgency
from edge_app.inference.budget import Stopwatch
from edge_app.inference.interpreter import ModelFailed
from edge_app.inference.judge import Code, Decision, Verdict, no_decision
from edge_app.inference.preprocess import Image, Roi
from edge_app.jobs import JobError
from edge_app.records.archive import Archive, encode_jpeg
from edge_app.records.database import Counters
from edge_app.records.inspection import Inspection
from edge_app.records.recorder import Recorder

BEAT_S = 0.1
"""The heartbeat's period, and so the longest the idle loop sleeps."""

SELF_TEST_S = 5.0
"""An idle loop runs the model this often, so that its heartbeat is earned."""

COMMIT_SHARE = 0.1
"""Share of the budget that an answer may wait until its record outlives the program."""

ANSWER_MS = 10.0
"""Left untouched of the budget when the record is waited for: the answer has to leave too."""

LOADING_TURN_S = 0.005
"""How soon a job that is loaded comes into force."""

log = logging.getLogger(__name__)


class Line:
    """Inspects one shot at a time, in the thread that calls `run` or in that of `see_to`.

    Args:
        name: The camera's name.
        capture: Where frames come from.
        station: Where triggers come from and answers go.
        recorder: Where inspections go.
        archive: Where pictures go.
        load: Loads a job with a warm model; called in a thread of its own.
        stamp: See `Loader`.
        preload: Jobs kept warm, so that switching to them takes no time.
        tuning: The camera's own exposure, for jobs that ask for none.
        free_run_hz: Shots per second that the line fires itself; 0 for none.
        max_frame_age_ms: An older frame is not judged.
        rotation: Degrees by which pictures are turned: 0, 90, 180 or 270.
        roi: The part of the camera's picture that is used at all.
        doctor: Tells how the machine is.
        urgency: Asks for priority, anew for each job that comes into force; none without it.
        written: Tells what the program wrote, by purpose.
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
        stamp: Callable[[int], Hashable] = lambda _: 0,
        preload: Iterable[int] = (),
        tuning: Tuning = Tuning(),  # noqa: B008 - frozen
        free_run_hz: float = 0.0,
        max_frame_age_ms: float = 500.0,
        rotation: int = 0,
        roi: Roi | None = None,
        doctor: Doctor | None = None,
        urgency: Urgency | None = None,
        written: Callable[[], dict[str, object]] = dict,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.capture = capture
        self.station = station
        self.recorder = recorder
        self.archive = archive
        self.latency = Latency()
        self.loader = Loader(load, stamp, preload)
        self.eye = Eye(capture, max_frame_age_ms=max_frame_age_ms, rotation=rotation, roi=roi)
        self.doctor = doctor or Doctor()
        self.urgency = urgency or Urgency("it is not asked for here")
        self.written = written
        self._tuning = tuning
        self._free_run_s = 1 / free_run_hz if free_run_hz else 0.0
        self._alive = alive
        self._stopping = False
        self._loading = False
        self._switching = threading.Lock()
        self._hands = threading.Lock()
        self.loaded: LoadedJob | None = None
        self.model_fault = ""
        self.job_fault: tuple[Code, str] | None = None
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
        with self._switching:
            if not keep_ready:
                self.station.close(Code.JOB_LOADING, f"job {number} is loading")
            self._loading = True
            self.loader.ask(number)

    def expose(self, shot: Shot) -> None:
        """Have the camera expose for a part that was just fired; `Eye` waits for the frame."""
        if (loaded := self.loaded) is not None:
            self.capture.ask(first_moment(shot, loaded))

    def clear_error(self) -> None:
        """Forget what was latched: missed triggers and the last command's failure."""
        self.job_fault = None
        self.station.clear_error()

    def reset_shift(self, who: str) -> Counters:
        """Start the shift's counters anew; the closing values are logged and returned."""
        closing = self.station.reset_shift()
        self.recorder.keep_counters()
        log.info("shift counters reset by %s: %s, total %d", who, closing, closing.total)
        return closing

    @property
    def fault(self) -> str:
        """What is wrong with model or job, in words; empty while all is well."""
        return self.model_fault or (self.job_fault[1] if self.job_fault else "")

    @property
    def warning(self) -> Code:
        """The gravest of what is not in order but does not keep the line from judging."""
        if self.recorder.failing or self.archive.failing or self.archive.exhausted:
            return Code.STORAGE
        vitals = self.doctor.known
        if vitals.strained:
            return Code.HOT
        return Code.CLOCK if vitals.clock_kept is False else Code.FINE

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    @property
    def loading(self) -> bool:
        """Whether a job or model is being loaded."""
        return self._loading

    def stop(self) -> None:
        """Let `run` return after the shot in work; no trigger is taken any more."""
        self._stopping = True

    def run(self) -> None:
        """Inspect until `stop`. The heartbeat is earned: one turn of this loop each."""
        while not self._stopping:
            self.turn()
            self._alive()
        self.station.close(Code.OFFLINE, "the line is stopping")
        shot = self.station.take(0.0)
        with self._hands:
            if shot is not None:
                self._inspect(shot)

    def turn(self) -> None:
        """One turn of the loop: at most one shot, one switch of jobs, one heartbeat."""
        self._fire_freely()
        wait_s = max(0.0, min(self._beat_due, self._next_free_run()) - time.monotonic())
        if self._loading:
            wait_s = min(wait_s, LOADING_TURN_S)
        shot = self.station.take(wait_s)
        with self._hands:
            if shot is not None:
                self._inspect(shot)
            elif self._loading and not self.station.busy:
                # Between two parts only: a part is judged by the job it was fired under.
                self._switch_job()
            elif time.monotonic() - self._worked_at > SELF_TEST_S:
                self._test_self()
        self._beat()

    def see_to(self, shot: Shot) -> None:
        """Inspect a shot in the thread that fired it by hand: two hand-overs less.

        The loop beats again when it is done: a beat is earned by whoever runs the model.
        """
        if not self._hands.acquire(blocking=False):
            # The part does not stay under the camera until whoever runs the model is done. Else
            # `Eye` asks for its frame at once, and does not have to be woken for it twice.
            self.expose(shot)
            self._hands.acquire()
        try:
            self._inspect(shot)
        finally:
            self._hands.release()

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
                self.model_fault = ""
            except ModelFailed as error:
                if not self.model_fault:
                    log.error("the model failed its self-test: %s", error)  # noqa: TRY400 - one sentence
                self.model_fault = f"the model failed its self-test: {error}"

    def _switch_job(self) -> None:
        with self._switching:
            if (outcome := self.loader.outcome()) is not None:
                self._put_in_force(*outcome)
                self._loading = False

    def _put_in_force(self, number: int, found: LoadedJob | Exception) -> None:
        if isinstance(found, LoadedJob):
            self.loaded = found
            self.model_fault, self.job_fault = "", None
            self.urgency.claim()
            self.capture.tune(self._tuning_of(found))
            log.info("job %d runs with model %s", number, found.model)
        else:
            # The old job stays in force; without any, the line answers NONE and stays up.
            self.job_fault = _job_code(found), f"job {number} was not loaded: {found}"
            log.error("%s", self.job_fault[1])
        self._worked_at = time.monotonic()
        self.station.open(self.loaded.job.number if self.loaded else number)

    def _tuning_of(self, loaded: LoadedJob) -> Tuning:
        job, own = loaded.job, self._tuning
        return Tuning(
            exposure_us=job.exposure_us or own.exposure_us,
            gain=job.gain if job.gain >= 0 else own.gain,
        )

    def _inspect(self, shot: Shot) -> None:
        """See one shot through: whatever happens, it has an answer afterwards."""
        stopwatch = Stopwatch(last=shot.deadline.started_at)
        stopwatch.lap("queue")
        found = Found()
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

    def _look(self, shot: Shot, stopwatch: Stopwatch, found: Found) -> None:
        if self.loaded is None:
            code, reason = self.job_fault or (Code.STARTING, "no job is loaded")
            found.verdict = no_decision(code, reason)
            return
        self.eye.look(shot, self.loaded, stopwatch, found)

    def _answer(self, shot: Shot, stopwatch: Stopwatch, found: Found) -> None:
        """Record, then answer; past its share of the budget the answer goes first.

        The picture comes last: whoever keeps it would be awake just when the answer leaves.
        """
        stopwatch.lap("rest")
        ms = shot.deadline.used_ms()
        name = self._show(shot, found.image, found.verdict.decision)
        inspection = inspection_of(
            self.name,
            shot,
            self.loaded,
            stopwatch,
            found,
            ms=ms,
            warning=self.warning,
            picture=name,
        )
        in_time = self.recorder.add(inspection).wait(self._patience_s(shot))
        answer = Answer(
            verdict=found.verdict,
            ms=ms,
            label=inspection.label,
            label_index=inspection.label_index,
            score=inspection.score,
            warning=Code.FINE if in_time and not self.recorder.failing else Code.STORAGE,
            exposed_at=inspection.captured_at if found.frame else 0.0,
        )
        if self.station.settle(shot, answer):
            self.latency.add(shot.deadline.used_ms())
        else:
            self._keep_late(shot, inspection)
        if name and (image := found.image) is not None:
            self.archive.add(shot.id, lambda: encode_jpeg(image))

    @staticmethod
    def _patience_s(shot: Shot) -> float:
        share_ms = shot.deadline.budget_ms * COMMIT_SHARE
        return max(0.0, min(shot.deadline.left_ms() - ANSWER_MS, share_ms)) / 1000

    def _show(self, shot: Shot, image: Image | None, decision: Decision) -> str:
        """Make it the last picture; its name in the archive, empty where it is not kept."""
        if image is None:
            return ""
        self.last_picture = (shot.id, image)
        if decision is Decision.NG:
            self.last_ng_picture = self.last_picture
        return self.archive.place(shot.id) if self.archive.wants(decision) else ""

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


def _job_code(error: Exception) -> Code:
    """The PLC's number for a job that could not be loaded."""
    return Code.UNKNOWN_JOB if isinstance(error, JobError) else Code.JOB_FAILED
