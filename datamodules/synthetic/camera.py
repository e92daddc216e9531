"""Cameras around a part and the rays of their pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Vector = tuple[float, float, float]
ACQUISITIONS = ("front", "back")
DISTANCE = 260.0  # mm from the camera to the part's centre
HALF_WIDTH = 45.0  # mm that half a picture shows at the part's centre


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; `right`, `up` and `towards` (to the camera) are unit vectors in the part's frame."""

    right: Vector
    up: Vector
    towards: Vector
    half_width: float

    def rays(self, rows: Tensor, columns: Tensor, grid: int) -> tuple[Tensor, Tensor, Tensor]:
        """Unit directions through the middles of pixels of a grid x grid picture (row 0 on top)."""
        a = ((columns + 0.5) * (2 / grid) - 1) * self.half_width
        b = (1 - (rows + 0.5) * (2 / grid)) * self.half_width
        scale = 1 / (a * a + b * b + DISTANCE * DISTANCE).sqrt()
        x, y, z = ((a * self.right[i] + b * self.up[i] - DISTANCE * self.towards[i]) * scale for i in range(3))
        return x, y, z

    @property
    def origin(self) -> Vector:
        """Where the camera is, mm."""
        x, y, z = (DISTANCE * value for value in self.towards)
        return x, y, z

    def project(self, point: Vector, grid: int) -> tuple[float, float]:
        """Row and column of a point on a grid x grid picture."""
        depth = DISTANCE - sum(p * t for p, t in zip(point, self.towards, strict=True))
        a = sum(p * r for p, r in zip(point, self.right, strict=True)) * DISTANCE / depth
        b = sum(p * u for p, u in zip(point, self.up, strict=True)) * DISTANCE / depth
        return (1 - b / self.half_width) * grid / 2 - 0.5, (a / self.half_width + 1) * grid / 2 - 0.5


def pixels(grid: int) -> tuple[Tensor, Tensor]:
    """Rows and columns of all pixels, row by row, as float tensors of grid * grid values."""
    line = torch.arange(grid, dtype=torch.float32)
    return line.repeat_interleave(grid), line.repeat(grid)


def acquisition_of(view: int) -> str:
    """Views alternate between the part's two sides, so that every part has both acquisitions."""
    return ACQUISITIONS[view % 2]


def camera_for(view: int, lying: bool, draw: np.random.Generator) -> Camera:
    """The pose of one view: a fixed station around the part, moved a little for every part and view."""
    side, turn = view % 2, view // 2
    if lying:
        polar = math.radians(90 + (0, -20, 20)[turn % 3] + draw.uniform(-6, 6))
        azimuth = math.radians(180 * side + (0, 60, -60)[turn % 3] + draw.uniform(-12, 12))
        roll = math.radians(90 + 30 * (turn % 3 - 1) + draw.uniform(-12, 12))
    else:
        lean = (24, 52, 40)[turn % 3] + draw.uniform(-7, 7)
        polar = math.radians(180 - lean if side else lean)
        azimuth = math.radians(120 * turn + 60 * side + draw.uniform(-30, 30))
        roll = math.radians(draw.uniform(-15, 15))
    towards = np.array([math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)])
    right = np.cross(
        [-math.cos(polar) * math.cos(azimuth), -math.cos(polar) * math.sin(azimuth), math.sin(polar)], towards
    )
    above = np.cross(towards, right)
    turned_right = math.cos(roll) * right + math.sin(roll) * above
    turned_up = math.cos(roll) * above - math.sin(roll) * right
    half_width = HALF_WIDTH * draw.uniform(0.98, 1.04)
    return Camera(_vector(turned_right), _vector(turned_up), _vector(towards), half_width)


def _vector(values: np.ndarray) -> Vector:
    # rounded, so that the last bit of a platform's sine does not reach the pixels
    x, y, z = (round(float(value), 6) for value in values)
    return x, y, z
