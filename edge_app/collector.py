"""Python's collector of cycles: what a program is made of stays, and is not looked at again."""

from __future__ import annotations

import gc


def pass_over_what_is_here() -> None:
    """Have the collector leave alone all that there is now; call it once everything is up.

    Each time it looks through everything it holds up every thread: 12 to 16 ms in a line, up to
    50 in the app. What came up with the program is nearly all of that, and never goes.
    """
    gc.collect()
    gc.freeze()
    # It goes through everything once that has grown by a quarter of what it found the last time:
    # now it finds next to nothing, and does not let garbage wait for as much to come.
    gc.collect()
