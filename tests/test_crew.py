"""The threads that do the uploads' work."""

from __future__ import annotations

import os
import threading

import pytest

from edge_app.crew import STEPS_BACK, Crew
from edge_app.inference.budget import Deadline

LEAST_URGENT = 19


def niceness() -> int:
    """Of the thread that asks."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.fixture
def crew() -> Crew:
    """Three threads at work."""
    made = Crew(3)
    made.start()
    return made


def test_the_crew_stands_behind_the_programs_other_threads(crew: Crew) -> None:
    """Its threads are nicer than the one that started them, which stays as it was."""
    before = niceness()
    found = [crew.do(niceness).result(Deadline.start(5000)) for _ in range(9)]
    crew.stop()
    assert set(found) == {min(LEAST_URGENT, before + STEPS_BACK)}
    assert niceness() == before
