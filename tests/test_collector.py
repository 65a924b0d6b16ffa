"""What Python's collector has to go through."""

from __future__ import annotations

import gc
import weakref

from edge_app.collector import pass_over_what_is_here


class Ring:
    """An object that refers to itself: only the collector finds that nobody else does."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_here_is_passed_over_and_what_comes_later_is_collected() -> None:
    """The collector has next to nothing to go through afterwards, and still finds new rings."""
    try:
        before = len(gc.get_objects())
        pass_over_what_is_here()
        assert gc.get_freeze_count() > before / 2
        assert len(gc.get_objects()) < before / 10
        ring = weakref.ref(Ring())
        gc.collect()
        assert ring() is None
    finally:
        gc.unfreeze()
