"""Processors shared by weight: a simulation of programs that want them, event by event."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Work:
    """Something that wants one processor for a while.

    Args:
        arrives_ms: When it comes.
        needs_ms: How much processor time it needs.
        weight: Its share against others when there is not enough for all (`CPUWeight=`).
        owner: Works of one owner run one after the other.
        waits: Whether it waits for its owner's turn; else it is refused while one is running.
    """

    arrives_ms: float
    needs_ms: float
    weight: float = 1.0
    owner: str = ""
    waits: bool = True


def shares(weights: Sequence[float], cores: int) -> list[float]:
    """Processors that each gets: by weight, but none more than one.

    What those who have one leave over is shared among the rest, again by weight.
    """
    given = [0.0] * len(weights)
    left, waiting = float(cores), set(range(len(weights)))
    while waiting and left > 1e-12:
        total = sum(weights[place] for place in waiting)
        full = {place for place in waiting if weights[place] / total * left >= 1 - given[place]}
        if not full:
            for place in waiting:
                given[place] += weights[place] / total * left
            break
        for place in full:
            left -= 1 - given[place]
            given[place] = 1.0
        waiting -= full
    return given


def simulate(works: Iterable[Work], cores: int) -> list[tuple[Work, float | None]]:
    """When each work is done.

    Returns:
        Each work with the milliseconds from its arrival to its end, None if it was refused;
        in order of ending.
    """
    coming = [(work.arrives_ms, number, work) for number, work in enumerate(works)]
    heapq.heapify(coming)
    running: list[list[float]] = []  # what each still needs; parallel to `active`
    active: list[Work] = []
    queues: dict[str, list[Work]] = {}
    done: list[tuple[Work, float | None]] = []
    now = 0.0
    while coming or active:
        rates = shares([work.weight for work in active], cores)
        ends = [left[0] / rate for left, rate in zip(running, rates, strict=True)]
        step = min(ends, default=float("inf"))
        arrival = coming[0][0] - now if coming else float("inf")
        spent = min(step, arrival)
        now += spent
        for left, rate in zip(running, rates, strict=True):
            left[0] -= spent * rate
        if arrival <= step:
            work = heapq.heappop(coming)[2]
            if any(other.owner == work.owner for other in active):
                if work.waits:
                    queues.setdefault(work.owner, []).append(work)
                else:
                    done.append((work, None))
            else:
                active.append(work)
                running.append([work.needs_ms])
            continue
        place = ends.index(step)
        work = active.pop(place)
        running.pop(place)
        done.append((work, now - work.arrives_ms))
        if waiting := queues.get(work.owner):
            active.append(waiting.pop(0))
            running.append([active[-1].needs_ms])
    return done
