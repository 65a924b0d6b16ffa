"""Photographs of the demo's parts on their conveyor, as a line camera of modest price takes them.

Everything follows from class, seed and number of a photograph: the same three give the same
picture, and no two numbers share one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from demo_metal import Drawing, draw_blank, draw_part
from demo_part import (
    BORE,
    HUB,
    Chip,
    Field,
    Finish,
    Flaws,
    Light,
    Pose,
    Scratch,
    Window,
    as_field,
    on_face,
)
from numpy.typing import NDArray

CLASSES = ("good", "scratch", "chip", "missing_hole")
WIDTH_PX, HEIGHT_PX = 400, 300

# Belts of a works: rubber, green and blue PVC, a grey felt (blue, green, red, linear).
BELTS = ((0.018, 0.018, 0.019), (0.030, 0.045, 0.024), (0.060, 0.043, 0.030), (0.08, 0.083, 0.086))


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph.

    Args:
        label: What the part is, one of `CLASSES`.
        image: Height x width x 3, uint8, blue-green-red, before compression.
        quality: Of the JPEG the camera makes of it, 0..100.
    """

    label: str
    image: NDArray[np.uint8]
    quality: int

    def jpeg(self) -> bytes:
        """The file that the camera sends."""
        _, content = cv2.imencode(".jpg", self.image, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return content.tobytes()


class Scene:
    """A belt, its lamps and one part's blank; every class can be photographed on it.

    Args:
        seed: Of a whole series.
        number: Of the scene in its series.
    """

    def __init__(self, seed: int, number: int) -> None:
        self._seeds = [seed, number]
        rng = np.random.default_rng(self._seeds)
        pose, self._lights = _pose(rng), _lights(rng)
        self._belt = _belt(rng, self._lights[0])
        self._tint = as_field(1 + np.array([1.0, 0.0, -1.0]) * rng.uniform(-0.03, 0.05))
        self._blank = draw_blank(Window(pose, rng), _finish(rng), self._lights)

    def photo(self, label: str) -> Photo:
        """Photograph a part of a class."""
        flaws = _flaws(label, np.random.default_rng([*self._seeds, CLASSES.index(label)]))
        drawing = draw_part(self._blank, flaws)
        scene = _lay(self._belt, self._blank.window, drawing, self._lights, self._tint)
        camera = np.random.default_rng([*self._seeds, len(CLASSES)])
        image, quality = _expose(scene, camera), int(camera.integers(74, 95))
        return Photo(label, image, quality)


def take_photo(label: str, seed: int, number: int) -> Photo:
    """The photograph of a class on one scene: see `Scene`."""
    return Scene(seed, number).photo(label)


def _pose(rng: np.random.Generator) -> Pose:
    radius = rng.uniform(110, 124)
    x = WIDTH_PX / 2 + rng.uniform(-1, 1) * (146 - radius)
    y = HEIGHT_PX / 2 + rng.uniform(-1, 1) * (132 - radius)
    off = (x - WIDTH_PX / 2) / radius, (y - HEIGHT_PX / 2) / radius
    turn, axis = rng.uniform(0, 2 * np.pi, 2)
    return Pose(x, y, radius, turn, rng.uniform(0, 0.03), axis, off)


def _lights(rng: np.random.Generator) -> tuple[Light, ...]:
    """One strong lamp from anywhere, and one or two weaker ones or windows of the hall."""
    lights = []
    azimuth = rng.uniform(0, 2 * np.pi)
    for strength in (1.0, rng.uniform(0.15, 0.55), rng.choice([0.0, rng.uniform(0.1, 0.3)])):
        if strength == 0:
            break
        height, reach = rng.uniform(2.4, 4.2), rng.uniform(1.2, 3.0)
        place = float(np.cos(azimuth) * reach), float(np.sin(azimuth) * reach), float(height)
        lights.append(Light(place, float(strength), float(rng.uniform(0.8, 1.5))))
        azimuth += rng.uniform(1.2, 3.6)
    return tuple(lights)


def _finish(rng: np.random.Generator) -> Finish:
    return Finish(
        gloss=rng.uniform(0.08, 0.20),
        grooves=rng.uniform(0.5, 1.3),
        stain=max(0.0, rng.uniform(-0.6, 1.0)),
        marking=f"LS6 {rng.integers(1000, 9999)}",
    )


def _flaws(label: str, rng: np.random.Generator) -> Flaws:
    # Every part has been handled: hairlines fainter than any scratch.
    hairlines = tuple(
        _scratch(rng, rng.uniform(0.04, 0.13), 0.5) for _ in range(int(rng.integers(0, 4)))
    )
    grain = int(rng.integers(0, 2**31))
    if label == "scratch":
        return Flaws(grain, scratches=hairlines + _scored(rng))
    if label == "chip":
        count = 1 if rng.random() < 0.8 else 2
        return Flaws(grain, tuple(_chip(rng) for _ in range(count)), hairlines)
    if label == "missing_hole":
        begun = rng.choice([0.0, 0.0, 0.22, 0.4])
        return Flaws(grain, (), hairlines, {int(rng.integers(0, 6)): float(begun)})
    return Flaws(grain, scratches=hairlines)


def _scored(rng: np.random.Generator) -> tuple[Scratch, ...]:
    """One scratch, or a scuff of several side by side; now and then only just visible."""
    contrast = rng.uniform(0.8, 1.3)
    first = _scratch(rng, contrast, rng.uniform(2.2, 4.0))
    if rng.random() < 0.7:
        return (first,)
    beside = (
        Scratch(
            first.points + rng.normal(0, 0.045, 2).astype(np.float32),
            first.width_px * rng.uniform(0.5, 1),
            contrast * rng.uniform(0.5, 1),
        )
        for _ in range(int(rng.integers(1, 4)))
    )
    return (first, *beside)


def _scratch(rng: np.random.Generator, contrast: float, width_px: float) -> Scratch:
    """A slightly bent line, the greater part of it on a turned face."""
    while True:
        points = _path(rng)
        if on_face(points).mean() > 0.75:
            return Scratch(points, width_px, contrast)


def _path(rng: np.random.Generator) -> Field:
    length, bend = rng.uniform(0.4, 1.0), rng.uniform(-0.5, 0.5)
    angle, radius, heading = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 0.9), rng.uniform(0, 6.3)
    steps = np.linspace(-0.5, 0.5, 24)
    headings = heading + bend * steps + rng.normal(0, 0.03, len(steps)).cumsum()
    moves = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / len(steps))
    points = moves.cumsum(axis=0)
    points += np.array([np.cos(angle), np.sin(angle)]) * radius - points.mean(axis=0)
    return as_field(points)


def _chip(rng: np.random.Generator) -> Chip:
    edge = 1.0 if rng.random() < 0.8 else rng.choice([BORE, HUB])
    half_width, depth = rng.uniform(0.09, 0.20), rng.uniform(0.075, 0.14)
    if edge != 1.0:
        depth = min(depth, 0.08)
    return Chip(float(edge), rng.uniform(0, 2 * np.pi), half_width, depth)


def _belt(rng: np.random.Generator, light: Light) -> Field:
    """A conveyor between two aluminium rails, lit by the lamp; radiance."""
    tone = np.array(BELTS[rng.integers(0, len(BELTS))]) * rng.uniform(0.7, 1.5)
    x, y = np.meshgrid(
        np.arange(WIDTH_PX, dtype=np.float32), np.arange(HEIGHT_PX, dtype=np.float32)
    )
    pitch = rng.uniform(3.0, 5.0)
    weave = np.sin(x * (6.283 / pitch)) * np.sin(y * (6.283 / pitch) + rng.uniform(0, 6))
    grain = rng.standard_normal((HEIGHT_PX, WIDTH_PX), dtype=np.float32)
    wear = cv2.GaussianBlur(rng.standard_normal((75, 100), dtype=np.float32), (0, 0), 3)
    wear = cv2.resize(wear, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    drag = cv2.blur(rng.standard_normal((HEIGHT_PX, WIDTH_PX), dtype=np.float32), (61, 1))
    texture = (
        1 + 0.09 * weave + 0.12 * cv2.GaussianBlur(grain, (0, 0), 0.7) + 0.6 * wear + 0.7 * drag
    )
    across = (x - WIDTH_PX / 2) * light.place[0] + (y - HEIGHT_PX / 2) * light.place[1]
    fall = np.exp(across * 0.00055)
    belt = np.clip(texture * fall, 0.1, 4)[:, :, None] * tone
    return _rails(belt.astype(np.float32), rng, light)


def _rails(belt: Field, rng: np.random.Generator, light: Light) -> Field:
    """Rails along both sides; the one towards the lamp throws a shadow on the belt."""
    brushed = cv2.blur(rng.standard_normal((HEIGHT_PX, WIDTH_PX), dtype=np.float32), (81, 1))
    height = rng.integers(9, 15)
    for side, rows in ((-1, np.arange(height)), (1, HEIGHT_PX - 1 - np.arange(height))):
        inner = rows[-1]
        towards = light.place[1] * side
        reach = int(np.clip(4 + 4 * towards, 1, 14))
        for step in range(reach):
            belt[inner - side * (step + 1)] *= 0.35 + 0.65 * step / reach
        profile = np.interp(np.arange(height) / height, (0, 0.55, 0.6, 0.7, 0.75, 1),
                            (0.30, 0.36, 0.10, 0.10, 0.42, 0.30 - 0.06 * towards))  # fmt: skip
        belt[rows] = (profile[:, None] * (1 + 0.8 * brushed[rows]))[:, :, None] * 0.7
    return np.maximum(belt, 0.002)


def _lay(
    belt: Field, window: Window, drawing: Drawing, lights: tuple[Light, ...], tint: Field
) -> Field:
    """The part on the belt with its shadows; `tint` is the steel's blue, green and red."""
    side = (window.side_px, window.side_px)
    metal, ground, cover = (
        cv2.resize(layer, side, interpolation=cv2.INTER_AREA)
        for layer in (drawing.metal * drawing.cover, drawing.ground, drawing.cover)
    )
    place = slice(window.top, window.top + side[1]), slice(window.left, window.left + side[0])
    whole = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    whole[place] = cover
    scene = belt * (1 - _shade(whole, window.pose.radius_px, lights))[:, :, None]
    below = belt[place] * ground[:, :, None]
    scene[place] = scene[place] * (1 - cover)[:, :, None] + below + metal[:, :, None] * tint
    return scene


def _shade(whole: Field, radius_px: float, lights: tuple[Light, ...]) -> Field:
    """Share of light that the part takes from the belt around it."""
    total = sum(light.strength for light in lights)
    # Soft enough to be worked out at half the size.
    small = WIDTH_PX // 2, HEIGHT_PX // 2
    half = cv2.resize(whole, small, interpolation=cv2.INTER_AREA)
    shade = np.zeros_like(half)
    for light in lights:
        x, y = (length * radius_px / 2 for length in light.cast(0.26))
        moved = cv2.warpAffine(half, np.array([[1, 0, x], [0, 1, y]]), small)
        soft = cv2.GaussianBlur(moved, (0, 0), 1.0 + 1.5 * light.spread)
        shade = shade + np.float32(light.strength / total) * soft
    contact = cv2.GaussianBlur(half, (0, 0), 2.5)
    taken = 1 - (1 - 0.78 * shade) * (1 - 0.45 * contact)
    return as_field(cv2.resize(taken, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_LINEAR))


def _expose(scene: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What lens, sensor and the camera's own processing make of the scene."""
    exposure = rng.uniform(0.6, 1.35)
    scene = np.maximum(scene, 0) * (exposure * _vignette(rng))[:, :, None]
    cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.35, 1.0), scene)
    if rng.random() < 0.5:
        cv2.blur(scene, (int(rng.integers(2, 4)), 1), scene)
    # Shot noise grows with the root of the light, read noise is always there. Making
    # colours of the sensor's pattern smears it a little.
    noise = rng.standard_normal(scene.shape, dtype=np.float32)
    cv2.GaussianBlur(noise, (0, 0), 0.55, noise)
    noise *= np.sqrt(scene * np.float32(0.0016) + np.float32(0.00002))
    scene += noise * np.float32(rng.uniform(0.3, 1.0))
    # The root spends the table's steps where the eye sees them.
    steps = (np.sqrt(np.clip(scene, 0, 3.99)) * np.float32(1024)).astype(np.int32)
    tones = _tones(rng)
    channels = [np.take(tones[i], steps[:, :, i]) for i in range(3)]
    return np.asarray(np.stack(channels, axis=2), dtype=np.uint8)


def _tones(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Pixel value of each channel by the root of its light, in steps of 1/1024."""
    light = (np.arange(2048) / 1024) ** 2
    # A shoulder instead of hard clipping, then the usual gamma and a little contrast.
    shown = (1 - np.exp(-1.5 * light)) ** (1 / 2.2)
    shown += rng.uniform(0.03, 0.09) * np.sin((shown - 0.5) * 2 * np.pi)
    balance = 1 + rng.uniform(-0.012, 0.012, 3)
    return np.asarray(np.clip(balance[:, None] * shown * 255 + 0.5, 0, 255), dtype=np.uint8)


def _vignette(rng: np.random.Generator) -> Field:
    x = (np.arange(WIDTH_PX) - WIDTH_PX / 2) / WIDTH_PX
    y = (np.arange(HEIGHT_PX) - HEIGHT_PX / 2) / WIDTH_PX
    away = x[None, :] ** 2 + y[:, None] ** 2
    return as_field(1 - rng.uniform(0.3, 1.1) * away)
