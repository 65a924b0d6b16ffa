"""The thread that owns the camera: the newest frame wins, and a lost camera comes back."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from camera.frame import Frame
from camera.sources import Source, SourceLost
from edge_app.inference.budget import Deadline

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 1.0
"""A camera that is back must be found within two seconds; hammering a dead one helps nobody."""

log = logging.getLogger(__name__)


class NoFrame(Exception):  # noqa: N818 - the glossary's name, read as a sentence where it is raised
    """No frame that was exposed after the trigger came in time."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """How the camera is, for people.

    Args:
        state: `starting`, `live` or `lost`.
        reason: Why it is lost; empty otherwise.
        since_s: Seconds in this state.
        frames: Frames got since the program began.
        reconnects: Times it was lost and came back.
        age_ms: Age of the newest frame; None before the first.
    """

    state: str
    reason: str
    since_s: float
    frames: int
    reconnects: int
    age_ms: float | None


class Capture:
    """Reads a source in a thread of its own and holds the newest frame.

    A free-running source is read all the time, so that nothing queues up behind a slow
    consumer; a source that exposes on demand is read when a frame is asked for.

    Args:
        make: Makes the source; called again after a loss.
        name: The camera's name, for thread and log.
    """

    def __init__(self, make: Callable[[], Source], name: str) -> None:
        self._make = make
        self._name = name
        self._changed = threading.Condition()
        self._newest: Frame | None = None
        self._wanted = False
        self._stopping = False
        self._state, self._reason = "starting", ""
        self._since = time.monotonic()
        self._frames = self._reconnects = 0
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
                age_ms=newest.age_ms() if newest else None,
            )

    def exposed_after(self, moment: float, deadline: Deadline) -> Frame:
        """The first frame exposed at or after a monotonic moment.

        Raises:
            NoFrame: None came before the deadline, or the camera is lost.
        """
        with self._changed:
            self._wanted = True
            self._changed.notify_all()
            while True:
                if self._newest is not None and self._newest.captured_at >= moment:
                    return self._newest
                if self._state == "lost":
                    raise NoFrame(f"camera {self._name} is lost: {self._reason}")
                if not self._changed.wait(deadline.left_s()) and deadline.passed():
                    raise NoFrame(f"camera {self._name} gave no frame before the deadline")

    def _run(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while not self._stopping:
            source = self._make()
            try:
                source.open()
                while not self._stopping:
                    if source.on_demand and not self._asked():
                        continue
                    self._put(source.read())
                    backoff_s = BACKOFF_FIRST_S
            except SourceLost as error:
                self._lose(str(error))
            # The loop's edge: a driver may raise anything, and the camera must come back.
            except Exception as error:
                log.exception("camera %s failed", self._name)
                self._lose(f"{type(error).__name__}: {error}")
            finally:
                source.close()
            with self._changed:
                # Jitter keeps several cameras behind one switch from knocking together.
                pause_s = backoff_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                self._changed.wait_for(lambda: self._stopping, timeout=pause_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    def _asked(self) -> bool:
        with self._changed:
            if self._state != "live":
                # Open is as much as an idle camera can show.
                self._enter("live", "")
            asked = self._changed.wait_for(lambda: self._wanted or self._stopping, timeout=1.0)
            self._wanted = False
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
            self._reconnects += self._state == "lost"
            log.info("camera %s is live", self._name)
        else:
            log.warning("camera %s is %s: %s", self._name, state, reason)
        self._state, self._reason = state, reason
        self._since = time.monotonic()
