"""One captured image with its sequence and time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edge_app.inference.decode import decode_image
from edge_app.inference.preprocess import Image


@dataclass(slots=True)
class Frame:
    """What a source gave at one moment; pixels are decoded when somebody asks for them.

    Args:
        seq: The source's own count, so that a gap or a step back can be seen.
        captured_at: Monotonic seconds of the exposure, as well as the source knows it.
        image: The pixels, where the source gives them.
        jpeg: The compressed picture, where the source gives that instead.
    """

    seq: int
    captured_at: float
    image: Image | None = None
    jpeg: bytes | None = None

    def age_ms(self) -> float:
        """Milliseconds since the exposure."""
        return (time.monotonic() - self.captured_at) * 1000

    def pixels(self) -> Image:
        """The picture, height x width x 3, blue-green-red; decoded once.

        Raises:
            BadImage: The source gave bytes that are no whole picture.
        """
        if self.image is None:
            self.image = decode_image(self.jpeg or b"")
        return self.image
