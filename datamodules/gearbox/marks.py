"""Marks on a part: where one sits, how large and deep it is, and its own coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reshift.datamodules.gearbox.camera import Vector
from reshift.datamodules.gearbox.surface import Surface, Triple, dot

PROPORTIONS = {"pitting": 20.0, "scratch": 80.0, "scoring": 45.0, "corrosion": 18.0, "notch": 4.0}
"""Size over depth of a typical mark of each kind; severity is their product."""
HARMLESS = ("stain", "hairline", "oil")


@dataclass(frozen=True)
class Mark:
    """One mark at a surface point.

    Attributes:
        kind: a defect's name (also below the tolerance), one of `HARMLESS`, or "dot".
        point, normal, along, across: its place in mm and its frame (unit vectors).
        size, depth: mm; the severity is size x depth.
        spots: places and radii in mm within the mark (pits, lines), drawn once.
        bright: whether it lays open bright metal rather than dirt.
        salt: its own noise.
    """

    kind: str
    point: Vector
    normal: Vector
    along: Vector
    across: Vector
    size: float
    depth: float
    spots: tuple[Vector, ...] = ()
    bright: bool = False
    salt: int = 0

    @property
    def reach(self) -> float:
        """Radius in mm around the point beyond which the mark changes nothing."""
        return self.ball[1] * 2 if self.kind == "notch" else self.size * 0.62 + 0.8

    @property
    def ball(self) -> tuple[Vector, float]:
        """Centre and radius of the ball that a notch cuts out: a cap `size` wide and `depth` deep on a flat face."""
        radius = (self.size * self.size / 4 + self.depth * self.depth) / (2 * self.depth)
        x, y, z = (p + (radius - self.depth) * n for p, n in zip(self.point, self.normal, strict=True))
        return (x, y, z), radius

    def near(self, surface: Surface) -> Tensor:
        """Positions of the points within reach; for marks on the surface, on the same face only."""
        dx, dy, dz = _from(self.point, surface.point)
        inside = dx * dx + dy * dy + dz * dz < self.reach * self.reach
        if self.kind != "notch":
            flat = (dx * self.normal[0] + dy * self.normal[1] + dz * self.normal[2]).abs() < 0.6 + 0.12 * self.size
            inside = inside & flat & (dot(surface.normal, self.normal) > 0.35)
        return torch.nonzero(inside).squeeze(1)

    def coordinates(self, point: Triple) -> tuple[Tensor, Tensor]:
        """(along, across) in mm on the part's surface; scoring runs around the axis."""
        d = _from(self.point, point)
        if self.kind != "scoring":
            return dot(d, self.along), dot(d, self.across)
        x, y, z = point
        r0 = math.sqrt(self.point[0] ** 2 + self.point[1] ** 2)
        outward = (self.point[0] * self.across[0] + self.point[1] * self.across[1]) / max(r0, 1e-6)
        return dot(d, self.along), ((x * x + y * y).sqrt() - r0) * outward + (z - self.point[2]) * self.across[2]


def mark_at(kind: str, severity: float, point: Vector, normal: Vector, draw: np.random.Generator) -> Mark:
    """A mark of a kind at a point; `severity` (mm^2) is ignored for the harmless kinds, which have next to no depth."""
    around = (-point[1], point[0], 0.0)
    along = _flat(around, normal) or _flat((0.0, 0.0, 1.0), normal) or _flat((1.0, 0.0, 0.0), normal)
    assert along is not None
    across = _cross(normal, along)
    if kind != "scoring":
        turn = draw.uniform(0, math.tau)
        c, s = round(math.cos(turn), 6), round(math.sin(turn), 6)
        along, across = _mix(along, c, across, s), _mix(across, c, along, -s)
    stretch = draw.uniform(0.75, 1.33)
    bright, salt = bool(draw.uniform() < 0.5), int(draw.integers(1 << 20))
    if kind in PROPORTIONS:
        size = math.sqrt(severity * PROPORTIONS[kind] * stretch)
        depth = severity / size
    else:
        low, high = {"stain": (4.0, 9.0), "hairline": (10.0, 26.0), "oil": (7.0, 15.0), "dot": (3.4, 4.4)}[kind]
        size, depth = draw.uniform(low, high), draw.uniform(0.01, 0.03)
    return Mark(kind, point, normal, along, across, size, depth, _spots(kind, size, draw), bright, salt)


def _spots(kind: str, size: float, draw: np.random.Generator) -> tuple[Vector, ...]:
    if kind == "pitting":
        spots = []
        for _ in range(int(draw.integers(4, 9))):
            x, y = draw.uniform(-1, 1), draw.uniform(-1, 1)
            fit = size * 0.36 / max(1.0, math.sqrt(x * x + y * y))
            spots.append((x * fit, y * fit, max(0.6, size * draw.uniform(0.12, 0.20))))
        return tuple(spots)
    if kind == "scoring":
        count, pitch = int(draw.integers(3, 6)), draw.uniform(1.3, 1.9)
        return tuple(
            ((k - (count - 1) / 2) * pitch, draw.uniform(-0.15, 0.15) * size, draw.uniform(0.7, 1.0))
            for k in range(count)
        )
    return ((draw.uniform(-0.02, 0.02), draw.uniform(-1, 1), 0.0),)


def _from(origin: Vector, point: Triple) -> Triple:
    return point[0] - origin[0], point[1] - origin[1], point[2] - origin[2]


def _flat(vector: Vector, normal: Vector) -> Vector | None:
    # the part of a vector in the tangent plane, as a unit vector; None where it stands on the plane
    length = math.sqrt(sum(v * v for v in vector))
    if length < 1e-6:
        return None
    out = sum(v * n for v, n in zip(vector, normal, strict=True))
    x, y, z = ((v - out * n) / length for v, n in zip(vector, normal, strict=True))
    length = math.sqrt(x * x + y * y + z * z)
    return (x / length, y / length, z / length) if length > 0.2 else None


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _mix(a: Vector, s: float, b: Vector, t: float) -> Vector:
    return a[0] * s + b[0] * t, a[1] * s + b[1] * t, a[2] * s + b[2] * t
