"""Admission: who can't be answered in time is refused at once, not late."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from edge_app.breaker import Breaker
from edge_app.estimate import Estimate
from edge_app.inference.budget import Deadline

FIRST_GUESS_MS = 20.0
DECODE_GUESS_MS = 15.0
"""For a megapixel of JPEG on a small board, before any was measured."""

STALE_S = 1.0
"""With nothing inside, an estimate of this age is tried again instead of believed: a model
that was slow once would else never get the chance to show that it is quick again."""

STALL_MS = 150.0
"""A client with a deadline of a few milliseconds must not make the model look stalled."""

WAIT_SHARE = 0.5
"""Share of the deadline that an upload may be expected to wait behind others before it is even
read. More would buy no throughput, only answers that come close to the deadline: it takes three
or four uploads to keep a model busy."""

MARGIN_MS = 3.0
"""What lies around the work: handing over, verdict, record, answer."""


class Busy(Exception):  # noqa: N818 - the glossary's name, read as a sentence where it is raised
    """The upload is refused: it could not be answered by its deadline.

    Args:
        message: Why.
        retry_after_ms: When it is worth another try.
        code: The reason in one word, for the answer and the metrics.
    """

    def __init__(self, message: str, retry_after_ms: float, code: str = "busy") -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms
        self.code = code

    @property
    def retry_after_s(self) -> int:
        """Whole seconds, as the `Retry-After` header wants them, at least one."""
        return max(1, math.ceil(self.retry_after_ms / 1000))


@dataclass(slots=True, eq=False)
class Ticket:
    """One upload inside.

    Args:
        lane: The model it goes to.
        deadline: When its answer is of no use any more.
        megapixels: Its picture's size; 0 for tensors.
        runs: Rows of tensors, one run of the model each.
        entered_at: Monotonic seconds.
    """

    lane: str
    deadline: Deadline
    megapixels: float = 0.0
    runs: int = 1
    entered_at: float = field(default_factory=time.monotonic)

    def overdue(self) -> bool:
        """Whether it should be outside by now: a stall, not just somebody in a hurry."""
        inside_ms = (time.monotonic() - self.entered_at) * 1000
        return inside_ms > STALL_MS and self.deadline.passed()


class _Lane:
    """What is known of one model's uploads."""

    def __init__(self) -> None:
        self.work = Estimate(FIRST_GUESS_MS)
        self.pace = Estimate(FIRST_GUESS_MS)
        self.breaker = Breaker()
        self.inside: list[Ticket] = []
        self.left_at = 0.0


class Door:
    """Lets uploads in while they can make their deadline.

    Each model has a lane of its own: what one takes or suffers is not held against another.

    Args:
        places: Uploads inside at once.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._inside = 0
        self._lanes: dict[str, _Lane] = defaultdict(_Lane)
        self._decode = Estimate(DECODE_GUESS_MS)
        self._pace = Estimate(FIRST_GUESS_MS)
        self._left_at = 0.0
        self.refused: Counter[str] = Counter()
        """Refusals since the start, by reason."""

    @property
    def inside(self) -> int:
        """Uploads in work."""
        return self._inside

    def to_json(self) -> dict[str, object]:
        """What the door knows, for the status."""
        with self._lock:
            lanes = {
                name: {
                    "inside": len(lane.inside),
                    "work_ms": round(lane.work.ms, 3),
                    "pace_ms": round(lane.pace.ms, 3),
                    "breaker": "open" if lane.breaker.open else "closed",
                }
                for name, lane in self._lanes.items()
            }
        return {
            "inside": self._inside,
            "places": self._places,
            "refused": dict(self.refused),
            "decode_ms_per_megapixel": round(self._decode.ms, 3),
            "models": lanes,
        }

    def knock(self, ahead: int, most: int, budget_ms: float) -> Busy | None:
        """Why an upload is refused of which nothing but its headers is known; None lets it come.

        Args:
            ahead: Uploads that have arrived and are not answered, for whatever model.
            most: As many may be.
            budget_ms: Milliseconds it will have once it has arrived.
        """
        wait_ms = ahead * self._pace.ms
        if ahead >= most:
            message, code = f"{ahead} uploads have come before and are not answered", "queue"
        elif wait_ms > budget_ms * WAIT_SHARE:
            message, code = f"{ahead} uploads would take about {wait_ms:.0f} ms before it", "busy"
        else:
            return None
        with self._lock:
            self.refused[code] += 1
        return Busy(message, max(1.0, wait_ms), code)

    def look(self, lane: str, deadline: Deadline) -> None:
        """Refuse early, before a body is taken apart for nothing.

        Raises:
            Busy: It can't be answered in time as things stand.
        """
        with self._lock:
            self._refuse_hopeless(self._lanes[lane], Ticket(lane, deadline))

    def enter(
        self, lane: str, deadline: Deadline, megapixels: float = 0.0, runs: int = 1
    ) -> Ticket:
        """Be inside until `leave`.

        Raises:
            Busy: There is no place, what is inside takes too long, or the model fails.
        """
        with self._lock:
            room = self._lanes[lane]
            ticket = Ticket(lane, deadline, megapixels, runs)
            self._refuse_hopeless(room, ticket)
            if (wait_ms := room.breaker.wait_ms()) > 0:
                self._refuse("breaker", "the model keeps failing and is let rest", wait_ms)
            room.inside.append(ticket)
            self._inside += 1
            return ticket

    def leave(
        self, ticket: Ticket, *, work_ms: float = 0.0, decode_ms: float = 0.0, failed: bool = False
    ) -> None:
        """Be outside again, and tell what it took.

        Args:
            ticket: From `enter`.
            work_ms: Preprocessing and inference, waiting not included; 0 if it never got there.
            decode_ms: Decoding the picture.
            failed: The model failed; this is no measurement then.
        """
        with self._lock:
            now = time.monotonic()
            room = self._lanes[ticket.lane]
            room.inside.remove(ticket)
            self._inside -= 1
            if failed:
                room.breaker.failed()
            elif work_ms:
                room.breaker.worked()
                room.work.measured(work_ms / ticket.runs)
                # While others wait, uploads come out one pace after the other.
                pace_s = now - max(room.left_at, ticket.entered_at)
                room.pace.measured(pace_s * 1000 / ticket.runs)
                pace_s = now - max(self._left_at, ticket.entered_at)
                self._pace.measured(pace_s * 1000)
            self._left_at = room.left_at = now
            if decode_ms and ticket.megapixels:
                # Small pictures cost their header, not their pixels.
                self._decode.measured(decode_ms / max(ticket.megapixels, 0.1))

    def _refuse_hopeless(self, room: _Lane, ticket: Ticket) -> None:
        left_ms = ticket.deadline.left_ms()
        if any(earlier.overdue() for earlier in room.inside):
            # What is inside is overdue: nobody knows when the model comes back.
            self._refuse("stalled", "the model has not answered an earlier upload", 1000.0)
        if left_ms <= 0:
            self._refuse("late", "the deadline passed while the request waited", room.pace.ms)
        own_ms = room.work.ms * ticket.runs + self._decode.ms * ticket.megapixels + MARGIN_MS
        wait_ms = sum(earlier.runs for earlier in room.inside) * room.pace.ms
        if self._inside >= self._places:
            self._refuse("full", f"{self._inside} uploads are in work", wait_ms)
        if wait_ms + own_ms > left_ms and (room.inside or not self._stale(room, ticket)):
            self._refuse(
                "busy",
                f"{len(room.inside)} uploads are in work; an answer would take about "
                f"{wait_ms + own_ms:.0f} ms and {left_ms:.0f} ms are left",
                max(wait_ms, own_ms),
            )

    def _stale(self, room: _Lane, ticket: Ticket) -> bool:
        decode_is_stale = ticket.megapixels > 0 and self._decode.age_s > STALE_S
        return room.work.age_s > STALE_S or decode_is_stale

    def _refuse(self, code: str, message: str, retry_after_ms: float) -> None:
        self.refused[code] += 1
        raise Busy(message, max(1.0, retry_after_ms), code)
