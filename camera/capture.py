"""The thread that owns the camera: the newest frame wins, and a lost camera comes back."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from camera.frame import Frame
from camera.freshness import Freshness
from camera.sources import Knocked, Source, SourceLost, Tunable, Tuning
from edge_app.config import ConfigError
from edge_app.inference.budget import Deadline

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 1.0
"""A camera that is back must be found within two seconds; hammering a dead one helps nobody."""

KNOCK_EVERY_S = 0.25
"""A look at a port or a device file costs nothing; an opening costs a process and its start."""

SILENT_MS = 2000.0
"""A free-running camera without a frame for so long is in trouble, whatever its driver says."""

log = logging.getLogger(__name__)


class NoFrame(Exception):  # noqa: N818 - the glossary's name, read as a sentence where it is raised
    """No frame that was exposed after the trigger came in time."""


class StaleFrame(Exception):  # noqa: N818 - a fact about the frame
    """What came was seen before, came out of order, or is too old to be judged as if new."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """How the camera is, for people.

    Args:
        state: `starting`, `live`, `frozen` or `lost`.
        reason: Why it is frozen or lost; empty otherwise.
        since_s: Seconds in this state.
        frames: Frames got since the program began.
        reconnects: Times it was lost and came back.
        stale: Frames refused because they were repeated, out of order or frozen.
        age_ms: Age of the newest frame; None before the first.
    """

    state: str
    reason: str
    since_s: float
    frames: int
    reconnects: int
    stale: int
    age_ms: float | None


class Capture:
    """Reads a source in a thread of its own and holds the newest frame.

    A free-running source is read all the time, so that nothing queues up behind a slow
    consumer; a source that exposes on demand is read when a frame is asked for.

    Args:
        make: Makes the source; called again after a loss.
        name: The camera's name, for thread and log.
        frozen_s: See `Freshness`.
    """

    def __init__(self, make: Callable[[], Source], name: str, frozen_s: float = 0.0) -> None:
        self._make = make
        self._name = name
        self._frozen_s = frozen_s
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._stale: tuple[float, str] = (float("-inf"), "")
        self._tuning = Tuning()
        self._tuned: Tuning | None = None
        self._on_demand = True
        self._wanted: float | None = None
        self._asked_for = float("-inf")
        self._stopping = False
        self._state, self._reason = "starting", ""
        self._since = time.monotonic()
        self._frames = self._reconnects = self._stale_frames = 0
        self._thread = threading.Thread(target=self._run, name=f"capture-{name}", daemon=True)

    def start(self) -> None:
        """Begin to capture."""
        self._thread.start()

    def stop(self, within_s: float = 1.0) -> None:
        """Let go of the camera. A call that hangs in a driver dies with the process."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(within_s)
        if self._thread.is_alive():
            log.warning("camera %s: the driver did not let go within %.1f s", self._name, within_s)

    def newest(self) -> Frame | None:
        """The newest frame; None before the first and while the camera is lost."""
        return self._newest

    def state(self) -> CameraState:
        """How the camera is at this moment."""
        with self._changed:
            newest = self._newest
            return CameraState(
                state=self._state,
                reason=self._reason,
                since_s=time.monotonic() - self._since,
                frames=self._frames,
                reconnects=self._reconnects,
                stale=self._stale_frames,
                age_ms=newest.age_ms() if newest else None,
            )

    @property
    def trouble(self) -> str:
        """Why no new frame may be expected; empty while all is well or nothing is known yet."""
        with self._changed:
            state, reason, newest = self._state, self._reason, self._newest
        if state in ("lost", "frozen"):
            return reason
        if not self._on_demand and newest is not None and newest.age_ms() > SILENT_MS:
            return f"no frame for {newest.age_ms() / 1000:.0f} s"
        return ""

    def tune(self, tuning: Tuning) -> None:
        """Ask the camera for another exposure; the capture thread passes it on."""
        self._tuning = tuning

    def ask(self, moment: float) -> None:
        """Have a source that exposes on demand do so at a monotonic moment, once; others go on."""
        with self._changed:
            self._ask(moment)

    def _ask(self, moment: float) -> None:
        if self._on_demand and moment > self._asked_for:
            self._wanted = self._asked_for = moment
            self._changed.notify_all()

    def exposed_after(self, moment: float, deadline: Deadline) -> Frame:
        """The first frame exposed at or after a monotonic moment, asked for or not.

        Raises:
            NoFrame: None came before the deadline, or the camera is lost.
            StaleFrame: What came before the deadline was not new.
        """
        with self._changed:
            # The lock is kept until the wait: whoever exposes would wake up for it in vain.
            self._ask(moment)
            while True:
                if self._newest is not None and self._newest.captured_at >= moment:
                    return self._newest
                if self._state == "lost":
                    raise NoFrame(f"camera {self._name} is lost: {self._reason}")
                if deadline.passed():
                    raise self._missing(moment)
                self._changed.wait(deadline.left_s())

    def _missing(self, moment: float) -> Exception:
        stale_at, fault = self._stale
        if stale_at >= moment:
            return StaleFrame(f"camera {self._name}: {fault}")
        return NoFrame(f"camera {self._name} gave no frame in time")

    def _run(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while not self._stopping:
            frames = self._frames
            self._hold()
            if self._frames > frames:
                # A camera that gave a frame is well: the next loss is another one.
                backoff_s = BACKOFF_FIRST_S
            self._pause(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    def _hold(self) -> None:
        """Open the source and read it until it is lost."""
        source: Source | None = None
        try:
            source = self._make()
            self._find(source)
            if not self._stopping:
                source.open()
                self._read_on(source)
        except (SourceLost, ConfigError) as error:
            # A setting was in order at the start: its secret's file has gone since.
            self._lose(str(error))
        # The loop's edge: a driver may raise anything, and the camera must come back.
        except Exception as error:
            log.exception("camera %s failed", self._name)
            self._lose(f"{type(error).__name__}: {error}")
        finally:
            if source is not None:
                self._close(source)

    def _find(self, source: Source) -> None:
        """Wait until the camera seems to be there, where that can be told cheaply."""
        while isinstance(source, Knocked) and not self._stopping and (absence := source.knock()):
            self._lose(absence)
            self._pause(KNOCK_EVERY_S)

    def _pause(self, longest_s: float) -> None:
        # Jitter keeps several cameras behind one switch from knocking together.
        pause_s = longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, timeout=pause_s)

    def _close(self, source: Source) -> None:
        try:
            source.close()
        # A driver that can't even be let go of must not end the thread that will try again.
        except Exception:
            log.exception("camera %s was not closed", self._name)

    def _read_on(self, source: Source) -> None:
        self._on_demand = source.on_demand
        freshness = Freshness(0.0 if source.on_demand else self._frozen_s)
        self._tuned = None
        while not self._stopping:
            if source.on_demand and not self._asked():
                continue
            if self._tuned != self._tuning:
                self._tuned = self._tuning
                if isinstance(source, Tunable):
                    source.tune(self._tuned)
            frame = source.read()
            if fault := freshness.fault(frame):
                self._refuse(fault, frozen=freshness.frozen)
            else:
                self._put(frame)

    def _refuse(self, fault: str, *, frozen: bool) -> None:
        with self._changed:
            self._frames += 1
            self._stale_frames += 1
            self._stale = (time.monotonic(), fault)
            if frozen:
                # Emptied as at a loss: a frozen camera must not go on showing its last picture.
                self._newest = None
                if self._state != "frozen":
                    self._enter("frozen", fault)

    def _asked(self) -> bool:
        with self._changed:
            if self._state != "live":
                # Open is as much as an idle camera can show.
                self._enter("live", "")
            self._changed.wait_for(lambda: self._wanted or self._stopping, timeout=1.0)
            while self._wanted and (left_s := self._wanted - time.monotonic()) > 0:
                if self._stopping:
                    break
                self._changed.wait(left_s)
            asked, self._wanted = self._wanted is not None, None
            return asked and not self._stopping

    def _put(self, frame: Frame) -> None:
        with self._changed:
            self._newest = frame
            self._frames += 1
            if self._state != "live":
                self._enter("live", "")
            self._changed.notify_all()

    def _lose(self, reason: str) -> None:
        with self._changed:
            # Emptied at once: a dead camera must not go on showing its last picture.
            self._newest = None
            if self._state != "lost":
                self._enter("lost", reason)
            self._reason = reason
            self._changed.notify_all()

    def _enter(self, state: str, reason: str) -> None:
        """Change the state and log the change, not the state."""
        if state == "live":
            if self._state == "lost":
                self._reconnects += 1
            log.info("camera %s is live", self._name)
        else:
            log.warning("camera %s is %s: %s", self._name, state, reason)
        self._state, self._reason = state, reason
        self._since = time.monotonic()
