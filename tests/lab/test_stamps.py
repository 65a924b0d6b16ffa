"""The instruments of scripts/test-cameras: what pictures tell, and which of them are too old."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from stamps import GLYPHS, OSD, RAMP, RAMP_PERIOD_MS, TIMECODE, osd_ms, ramp_ms
from whole_line import Made, ages_ms


@pytest.mark.parametrize("frame", [0, 1, 100, 254, 255, 700])
def test_the_ramp_tells_how_many_frames_went_by(frame: int) -> None:
    """Kept as a JPEG the simulated camera's picture still tells its number, up to a turn."""
    first, later = (ramp_ms(_kept(_ramp(number))) for number in (0, frame))

    assert (later - first) % RAMP.wrap_ms == frame * RAMP_PERIOD_MS % RAMP.wrap_ms


def test_vivid_tells_its_time() -> None:
    """Hours to milliseconds are read from the text in the picture."""
    image = np.zeros((48, 640, 3), np.uint8)
    for place, sign in enumerate("12:34:56:789"):
        if sign != ":":
            rows = np.frombuffer(bytes.fromhex(GLYPHS[int(sign)]), np.uint8)
            cell = np.unpackbits(rows[:, None], axis=1) * np.uint8(180)
            image[18:28, 24 + 8 * place : 32 + 8 * place] = cell[..., None]

    assert osd_ms(_kept(image)) == ((12 * 60 + 34) * 60 + 56) * 1000 + 789


def test_a_picture_without_its_time_is_refused() -> None:
    """What can't be read is never taken for some moment."""
    with pytest.raises(ValueError, match="expected a digit"):
        osd_ms(np.zeros((48, 640, 3), np.uint8))


def test_a_frame_from_before_the_trigger_is_found_by_the_machines_clock() -> None:
    """Pictures that tell the machine's own time are as old as they say, also over the wrap."""
    life = [Made(TIMECODE.wrap_ms - 20, TIMECODE.wrap_ms + 10, stamp) for stamp in (5.0, -55.0)]

    assert ages_ms(life, TIMECODE) == [5, 65]


@pytest.mark.parametrize("stale", [0, 1, 20, 39])
def test_a_frame_from_before_the_trigger_is_found_by_its_neighbours(stale: int) -> None:
    """One part of a camera's life got the frame before its own: that one is too old."""
    life = [_made(number, number - (number == stale)) for number in range(40)]

    ages = ages_ms(life, RAMP)

    assert [place for place, age_ms in enumerate(ages) if age_ms > 20] == [stale]


def test_a_frame_that_the_camera_left_out_makes_no_part_stale() -> None:
    """The number stays behind the clock from then on, and the pictures are fresh all the same."""
    life = [_made(number, number - (number > 20)) for number in range(40)]

    assert max(ages_ms(life, RAMP)) < 5


def test_a_frame_of_an_earlier_life_is_found() -> None:
    """Its number has nothing to do with those that follow."""
    life = [_made(0, 180), *(_made(number, number) for number in range(1, 20))]

    assert abs(ages_ms(life, RAMP)[0]) > 1000
    assert max(ages_ms(life[1:], OSD)) < 5


def _made(number: int, frame: int) -> Made:
    """A part at each frame; the answer takes 18 to 20 ms, the stamp turns once a wrap."""
    sent_ms = 40.0 * number + 5e6
    return Made(sent_ms, sent_ms + 18 + number % 3, 40.0 * frame % RAMP.wrap_ms)


def _ramp(frame: int) -> np.ndarray:
    rows, columns = np.ogrid[:512, :512]
    grey = ((rows + columns + frame) % 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _kept(image: np.ndarray) -> np.ndarray:
    """As the archive keeps it."""
    return cv2.imdecode(cv2.imencode(".jpg", image)[1], cv2.IMREAD_COLOR)
