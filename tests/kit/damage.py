"""What happens to files on bad disks and bad networks."""

from __future__ import annotations

import numpy as np


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Bits flipped, an end cut off, a stretch zeroed or taken out, the zip's end damaged."""
    broken = bytearray(content)
    place = int(random.integers(0, len(broken)))
    kind = random.integers(0, 5)
    if kind == 0:
        for spot in random.integers(0, len(broken), int(random.integers(1, 9))):
            broken[spot] ^= 1 << int(random.integers(0, 8))
    elif kind == 1:
        del broken[place:]
    elif kind == 2:
        broken[place : place + 512] = bytes(len(broken[place : place + 512]))
    elif kind == 3:
        del broken[place : place + int(random.integers(1, 512))]
    else:
        broken[-int(random.integers(1, 200))] ^= 0xFF
    return bytes(broken)
