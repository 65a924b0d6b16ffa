"""How the demo's part looks from above: turned steel under lamps, sound or flawed.

Radiance is linear; `demo_photo` makes a photograph of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from demo_part import (
    BORE,
    CAMERA_HEIGHT,
    HOLE_BEVEL,
    HOLE_CIRCLE,
    HOLE_RADIUS,
    HOLES,
    HUB,
    HUB_HEIGHT,
    PROFILE,
    SUPERSAMPLE,
    THICKNESS,
    Chip,
    Field,
    Finish,
    Flaws,
    Light,
    Window,
    as_field,
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A part as the camera gets it, one value for each fine pixel.

    Args:
        metal: Radiance of steel, of the lamp's colour.
        ground: Share of the belt's radiance that shows through bore and holes.
        cover: 1 where the part is, 0 beside it.
    """

    metal: Field
    ground: Field
    cover: Field


@dataclass(frozen=True, slots=True)
class Blank:
    """A turned part before it was drilled: what all parts of one scene share.

    Args:
        window: The pixels it is drawn on.
        metal: Radiance of the turned surface.
        dirt: What stains, dust and the marking leave of it, 0..1.
        lamp: The strongest light.
    """

    window: Window
    metal: Field
    dirt: Field
    lamp: Light


def draw_blank(window: Window, finish: Finish, lights: Sequence[Light]) -> Blank:
    """Turn and light a part.

    Args:
        window: The pixels to draw.
        finish: What the metal is like.
        lights: Lamps, the strongest first.
    """
    slope, shine = _surface(window, finish)
    metal = _surroundings(window)
    for light in lights:
        metal += _sheen(window, light, slope, finish.gloss) * (1 - _hub_shadow(window, light))
    return Blank(window, metal * shine, _dirt(window, finish), lights[0])


def draw_part(blank: Blank, flaws: Flaws) -> Drawing:
    """Drill a part, and spoil it as the flaws say."""
    window, metal = blank.window, blank.metal.copy()
    hole, bevel = _holes(window, flaws)
    grain = np.random.default_rng(flaws.grain)
    broken, gone = _chips(window, flaws.chips, grain)
    _bevels(metal, bevel, blank.lamp)
    metal *= 1 - (1 - hole) * (1 - blank.dirt)
    _break(metal, window, broken, grain)
    _scratches(metal, window, flaws, (1 - hole) * (1 - broken))
    ground = _open(metal, window, hole, blank.lamp)
    cover = window.softly(window.r - 1)
    return Drawing(metal, ground, cover * (1 - gone))


def _surface(window: Window, finish: Finish) -> tuple[Field, Field]:
    """Slope outward and reflectance of the turned faces, tool marks included."""
    radii = np.linspace(0, 1.2, 1200)
    knots = np.array(PROFILE)
    slope = as_field(np.interp(radii, knots[:, 0], knots[:, 1]))
    shine = as_field(np.interp(radii, knots[:, 0], knots[:, 2]))
    rng = window.rng
    # The feed of the tool: a fine, even wave; and the rings where it dwelt or chattered.
    feed = np.sin(radii * 2 * np.pi * rng.uniform(70, 110) + rng.uniform(0, 6))
    rings = np.repeat(rng.standard_normal(300), 4) + np.repeat(rng.standard_normal(100), 12)
    slope += as_field(finish.grooves * (0.05 * feed + 0.06 * rings))
    shine *= as_field(1 + finish.grooves * 0.05 * np.repeat(rng.standard_normal(150), 8))
    streaks = cv2.blur(rng.standard_normal((300, 96), dtype=np.float32), (13, 1))
    texture = window.around(as_field(streaks))
    return window.by_radius(slope) + texture * np.float32(0.16 * finish.grooves), window.by_radius(
        shine
    ) * (1 + texture * np.float32(0.22 * finish.grooves))


def _sheen(window: Window, light: Light, slope: Field, gloss: float) -> Field:
    """Light that turned metal throws to the camera: Ward's model with grooves along circles."""
    x, y, z = light.place
    to_x, to_y = x - window.x, y - window.y
    length = np.sqrt(to_x * to_x + to_y * to_y + np.float32(z * z))
    half_x, half_y = to_x / length, to_y / length
    half_z = z / length + 1
    along = half_y * window.cos - half_x * window.sin
    outward = half_x * window.cos + half_y * window.sin
    facing = np.maximum(half_z - slope * outward, 0.05)
    across = outward + slope * half_z
    spread = np.float32(gloss * light.spread)
    lobe = np.exp(-((along / (facing * spread)) ** 2) - (across / (facing * np.float32(0.55))) ** 2)
    diffuse = np.maximum(z / length - slope * outward * np.float32(0.6), 0)
    falloff = np.float32(np.hypot(np.hypot(x, y), z)) / length
    return as_field((1.3 * lobe + 0.09 * diffuse) * (light.strength * falloff * falloff))


def _surroundings(window: Window) -> Field:
    """The hall's light mirrored in the grooves: broad, weak, in two opposite sectors."""
    axis = np.float32(window.rng.uniform(0, np.pi))
    twofold = np.cos(2 * (window.angle - axis))
    nearby = np.exp(-np.maximum(window.r - HUB, 0) / np.float32(0.045)) * (window.r > HUB)
    return as_field((0.12 + 0.05 * twofold) * (1 - 0.45 * nearby))


def _hub_shadow(window: Window, light: Light) -> Field:
    x, y = light.cast(HUB_HEIGHT * 0.8)
    behind = np.hypot(window.x - np.float32(x), window.y - np.float32(y)) - np.float32(HUB + 0.02)
    shadow = np.clip(0.5 - behind * np.float32(22 / light.spread), 0, 1)
    return as_field(0.85 * shadow * (window.r > HUB + 0.012))


def _holes(window: Window, flaws: Flaws) -> tuple[Field, tuple[Field, Field, Field]]:
    """Coverage of bolt holes; of their bevels with the way out."""
    pitch = 2 * np.pi / HOLES
    number = np.mod(np.rint(window.own_angle / np.float32(pitch)).astype(np.int32), HOLES)
    sizes = as_field([flaws.holes.get(i, 1.0) for i in range(HOLES)]) * np.float32(HOLE_RADIUS)
    centre = number.astype(np.float32) * np.float32(pitch) + np.float32(window.pose.turn)
    away_x = window.x - np.cos(centre) * np.float32(HOLE_CIRCLE)
    away_y = window.y - np.sin(centre) * np.float32(HOLE_CIRCLE)
    distance = np.hypot(away_x, away_y)
    radius = np.take(sizes, number)
    drilled = radius > 0
    hole = window.softly(distance - radius) * drilled
    bevel = window.softly(distance - radius - np.float32(HOLE_BEVEL)) * drilled - hole
    safe = np.maximum(distance, 1e-3)
    return as_field(hole), (as_field(bevel), away_x / safe, away_y / safe)


def _bevels(metal: Field, bevel: tuple[Field, Field, Field], light: Light) -> None:
    """Countersinks face inwards: bright on the side away from the lamp."""
    cover, away_x, away_y = bevel
    x, y, z = light.place
    towards = -(away_x * x + away_y * y) / np.float32(np.hypot(np.hypot(x, y), z))
    _blend(metal, cover, np.clip(0.16 + 0.55 * towards, 0.03, 0.7))


def _blend(metal: Field, cover: Field, value: Field | float) -> None:
    metal += cover * (value - metal)


def _dirt(window: Window, finish: Finish) -> Field:
    """What every part has: stains of oil, specks of dust and a marking."""
    stain = np.clip(window.clouds(7, window.rng) - 0.6, 0, 1.2) * np.float32(finish.stain)
    text = _marking(window, finish.marking)
    darker = 1 - np.clip(stain * 0.35 + text * 0.55, 0, 0.8)
    specks = np.zeros((window.fine, window.fine), np.uint8)
    for _ in range(int(window.rng.integers(0, 14))):
        spot = window.rng.integers(0, window.fine * 16, 2)
        size, strength = int(window.rng.integers(8, 26)), int(window.rng.integers(40, 170))
        cv2.circle(specks, (int(spot[0]), int(spot[1])), size, (strength,), -1, cv2.LINE_AA, 4)
    return as_field(darker * (1 - as_field(specks) / 255))


def _marking(window: Window, text: str) -> Field:
    """The text along a circle between two bolt holes, as a laser marks it."""
    strip = np.zeros((600, 2048), np.uint8)
    place = (86, 600 - int(600 * 0.705 / 1.2))
    cv2.putText(strip, text, place, cv2.FONT_HERSHEY_PLAIN, 1.9, (255,), 2, cv2.LINE_AA)
    # Read from outside, the letters' feet point to the bore.
    return window.around(strip[::-1]) / 255


def _chips(
    window: Window, chips: Sequence[Chip], grain: np.random.Generator
) -> tuple[Field, Field]:
    """Coverage of broken faces, and of what is missing from the outline."""
    broken = np.zeros_like(window.r)
    gone = np.zeros_like(window.r)
    for chip in chips:
        rough = window.clouds(26, grain) * np.float32(0.30) + window.clouds(70, grain) * np.float32(
            0.12
        )
        turn = np.mod(window.own_angle - np.float32(chip.angle) + np.pi, 2 * np.pi) - np.pi
        along = turn * chip.edge / chip.half_width
        inward = (window.r - chip.edge) / chip.depth
        size = np.float32(chip.depth)
        broken = np.maximum(broken, window.softly((along**2 + inward**2 + rough - 1) * size))
        if chip.edge == 1.0:
            core = (along * 1.25) ** 2 + (inward * 1.9) ** 2 + rough - 1
            gone = np.maximum(gone, window.softly(core * size))
    return as_field(broken), as_field(gone)


def _break(metal: Field, window: Window, broken: Field, rng: np.random.Generator) -> None:
    """Fractured steel: dull, dark and full of small facets."""
    if not broken.any():
        return
    facets = np.clip(0.30 + 0.16 * window.clouds(90, rng) + 0.12 * window.clouds(40, rng), 0.04, 1)
    level = float(metal.mean())
    _blend(metal, broken, facets * np.float32(level))
    # A bright line where the face ends at the fracture.
    edge = np.clip(cv2.GaussianBlur(broken, (0, 0), 1.6) - broken, 0, 1)
    metal += edge * np.float32(0.7 * level)


def _scratches(metal: Field, window: Window, flaws: Flaws, face: Field) -> None:
    """Score lines throw the light elsewhere."""
    middle = np.float32(np.median(metal[::4, ::4]))
    rng = np.random.default_rng(flaws.grain)
    for scratch in flaws.scratches:
        line = np.zeros((window.fine, window.fine), np.uint8)
        pixels = window.pixels(scratch.points)
        taper = np.sin(np.linspace(0.25, np.pi - 0.15, len(pixels) - 1)) ** 0.5
        depth = np.clip(taper * rng.uniform(0.65, 1, len(taper)), 0, 1)
        width = max(1, round(scratch.width_px * SUPERSAMPLE))
        for start, end, strength in zip(pixels[:-1], pixels[1:], depth, strict=True):
            color = (int(255 * strength),)
            cv2.line(line, start.tolist(), end.tolist(), color, width, cv2.LINE_AA, 4)
        cover = as_field(cv2.GaussianBlur(line, (0, 0), 0.7)) / 255 * face
        lip = np.roll(cover, (1, 1), (0, 1)) * (1 - cover) * face
        # Dark in the sheen, bright outside it.
        rise = np.where(metal > 0.8 * middle, -0.75 * metal, 0.5 * metal + 0.7 * middle)
        metal += cover * rise * np.float32(scratch.contrast)
        metal *= 1 - lip * np.float32(0.45 * scratch.contrast)


def _open(metal: Field, window: Window, hole: Field, light: Light) -> Field:
    """Bore and bolt holes: a strip of lit wall, and the belt below in the part's shade."""
    lower = 1 - THICKNESS / CAMERA_HEIGHT
    off_x, off_y = (np.float32(place * (1 - lower)) for place in window.pose.off_axis)
    down_x, down_y = window.x + off_x, window.y + off_y
    bore = window.softly(window.r - BORE)
    bottom = window.softly(np.hypot(down_x, down_y) - np.float32(BORE * lower))
    x, y, z = light.place
    wall = -(window.cos * x + window.sin * y) / np.float32(np.hypot(np.hypot(x, y), z))
    cast_x, cast_y = light.cast(THICKNESS + HUB_HEIGHT)
    lit = window.softly((np.hypot(down_x - cast_x, down_y - cast_y) - BORE) * 0.12)
    _blend(metal, bore, (np.clip(wall, 0, 1) * 0.5 + 0.03) * (1 - bottom))
    _blend(metal, hole, 0.004)
    return as_field(bore * bottom * (0.12 + 0.75 * lit) + hole * 0.12)
