"""The demo's part: a turned steel flange with six bolt holes, its flaws and its place.

Lengths are in outer radii of the flange, x to the right, y down, z towards the camera.
`demo_metal` draws it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""One value for each fine pixel of the part's window."""

SUPERSAMPLE = 1.5
"""Fine pixels for one pixel of the photograph, each way: edges and scratches stay smooth."""

MARGIN = 1.06
BORE, HUB, GROOVE, RIM = 0.27, 0.46, (0.555, 0.592), 0.962
HOLES, HOLE_CIRCLE, HOLE_RADIUS, HOLE_BEVEL = 6, 0.77, 0.086, 0.017
HUB_HEIGHT, THICKNESS, CAMERA_HEIGHT = 0.16, 0.30, 4.5

# Surface by radius: (radius, slope outward, reflectance). Between them it is linear.
PROFILE = (
    (0.000, 0.00, 0.40),
    (BORE, -0.75, 0.62),
    (BORE + 0.018, -0.75, 0.62),
    (BORE + 0.022, 0.00, 0.72),
    (HUB - 0.022, 0.00, 0.72),
    (HUB - 0.016, 0.80, 0.70),
    (HUB, 2.60, 0.50),
    (HUB + 0.026, 2.00, 0.42),
    (HUB + 0.040, 0.15, 0.52),
    (GROOVE[0] - 0.004, 0.00, 0.58),
    (GROOVE[0] + 0.004, 1.40, 0.22),
    (GROOVE[0] + 0.012, 0.00, 0.17),
    (GROOVE[1] - 0.012, 0.00, 0.17),
    (GROOVE[1] - 0.004, -1.40, 0.22),
    (GROOVE[1] + 0.004, 0.00, 0.58),
    (RIM - 0.004, 0.00, 0.58),
    (RIM + 0.004, 0.85, 0.60),
    (0.994, 0.95, 0.55),
    (1.010, 1.60, 0.30),
    (1.200, 1.60, 0.20),
)


@dataclass(frozen=True, slots=True)
class Light:
    """A lamp at a place above the part; the larger its `spread`, the softer sheen and shadow."""

    place: tuple[float, float, float]
    strength: float
    spread: float

    def cast(self, height: float) -> tuple[float, float]:
        """How far the shadow of something `height` above the ground falls."""
        x, y, z = self.place
        return -x / z * height, -y / z * height


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the part lies in the photograph: centre and radius in pixels, angles in radians.

    Args:
        x_px: Centre, from the left.
        y_px: Centre, from the top.
        radius_px: Outer radius.
        turn: How far it is turned.
        tilt: Shortening across `tilt_axis`, for a camera that is not quite upright.
        tilt_axis: Direction of the shortening.
        off_axis: The centre's place seen from the picture's centre, in radii.
    """

    x_px: float
    y_px: float
    radius_px: float
    turn: float
    tilt: float
    tilt_axis: float
    off_axis: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Chip:
    """Metal broken out of an edge: at an angle, of a half width and a depth."""

    edge: float
    angle: float
    half_width: float
    depth: float


@dataclass(frozen=True, slots=True)
class Scratch:
    """A line scored into the face: points in the part's own frame, width in pixels."""

    points: Field
    width_px: float
    contrast: float


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with a part; nothing for a good one.

    Args:
        grain: Seed of the fractures' grain.
        chips: Broken edges.
        scratches: Scored lines; the faintest are handling marks that a good part has too.
        holes: For each missing hole its radius as a share of the right one: 0 not begun,
            small for one that was only centred.
    """

    grain: int = 0
    chips: tuple[Chip, ...] = ()
    scratches: tuple[Scratch, ...] = ()
    holes: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finish:
    """What the lathe left: how the metal shines and the marks that every part has.

    Args:
        gloss: Spread of the sheen along the grooves; the smaller, the narrower its wedges.
        grooves: Depth of the turning marks.
        stain: Strength of oil and water stains.
        marking: Text marked on the flange.
    """

    gloss: float
    grooves: float
    stain: float
    marking: str


def as_field(values: Any) -> Field:
    """Any numbers as a field; OpenCV's type information does not say that float32 stays float32."""
    return np.asarray(values, dtype=np.float32)


def on_face(points: Field) -> NDArray[np.bool_]:
    """Which points of the part's own frame lie on its turned faces."""
    radius, angle = np.hypot(points[:, 0], points[:, 1]), np.arctan2(points[:, 1], points[:, 0])
    pitch = 2 * np.pi / HOLES
    aside = angle - np.rint(angle / pitch) * pitch
    to_hole = np.hypot(radius * np.cos(aside) - HOLE_CIRCLE, radius * np.sin(aside))
    flat = (radius > BORE + 0.03) & (radius < RIM) & (np.abs(radius - HUB) > 0.04)
    grooved = (radius > GROOVE[0]) & (radius < GROOVE[1])
    return np.asarray(flat & ~grooved & (to_hole > HOLE_RADIUS + HOLE_BEVEL))


class Window:
    """The square of fine pixels around a part, in the part's coordinates.

    Args:
        pose: Where the part lies.
        rng: For the grain of surfaces.
    """

    def __init__(self, pose: Pose, rng: np.random.Generator) -> None:
        reach = int(np.ceil(pose.radius_px * MARGIN)) + 1
        self.left, self.top = int(pose.x_px) - reach, int(pose.y_px) - reach
        self.side_px = 2 * reach
        self.fine = int(self.side_px * SUPERSAMPLE)
        steps = (np.arange(self.fine, dtype=np.float32) + 0.5) / SUPERSAMPLE
        x = ((steps + self.left - pose.x_px) / pose.radius_px)[None, :].astype(np.float32)
        y = ((steps + self.top - pose.y_px) / pose.radius_px)[:, None].astype(np.float32)
        across = x * np.cos(pose.tilt_axis) + y * np.sin(pose.tilt_axis)
        self.x: Field = (x + across * (pose.tilt * np.cos(pose.tilt_axis))).astype(np.float32)
        self.y: Field = (y + across * (pose.tilt * np.sin(pose.tilt_axis))).astype(np.float32)
        self.r, self.angle = cv2.cartToPolar(self.x, self.y)
        safe = np.maximum(self.r, 1e-3)
        self.cos, self.sin = self.x / safe, self.y / safe
        self.own_angle = np.mod(self.angle - np.float32(pose.turn), np.float32(2 * np.pi))
        self.pose, self.rng = pose, rng

    def softly(self, distance: Field) -> Field:
        """1 where a distance (radii) is negative, 0 where positive, one fine pixel of ramp."""
        ramp = np.float32(self.pose.radius_px * SUPERSAMPLE)
        return as_field(np.clip(np.float32(0.5) - distance * ramp, 0, 1))

    def by_radius(self, table: Field) -> Field:
        """Values of a table over radius 0..1.2, without interpolation."""
        index = (self.r * np.float32((len(table) - 1) / 1.2)).astype(np.int32)
        return as_field(np.take(table, index, mode="clip"))

    def clouds(self, cells: int, rng: np.random.Generator) -> Field:
        """Smooth noise, about -2..2, with so many cells across the window."""
        grid = rng.standard_normal((cells, cells), dtype=np.float32)
        return as_field(cv2.resize(grid, (self.fine, self.fine), interpolation=cv2.INTER_CUBIC))

    def around(self, texture: NDArray[Any]) -> Field:
        """A texture whose rows are radii 0..1.2 and whose columns are the part's own angle."""
        rows, columns = texture.shape
        wrapped = np.hstack([texture, texture[:, :1]])
        return as_field(
            cv2.remap(
                wrapped,
                self.own_angle * np.float32(columns / (2 * np.pi)),
                self.r * np.float32((rows - 1) / 1.2),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )

    def pixels(self, points: Field) -> NDArray[np.int32]:
        """Fine pixels of points in the part's own frame, in sixteenths for OpenCV."""
        cos, sin = np.cos(self.pose.turn), np.sin(self.pose.turn)
        x = points[:, 0] * cos - points[:, 1] * sin
        y = points[:, 0] * sin + points[:, 1] * cos
        scale = self.pose.radius_px
        fine_x = (x * scale + self.pose.x_px - self.left) * SUPERSAMPLE
        fine_y = (y * scale + self.pose.y_px - self.top) * SUPERSAMPLE
        sixteenths = np.rint(np.stack([fine_x, fine_y], axis=1) * 16)
        return np.asarray(sixteenths, dtype=np.int32)
