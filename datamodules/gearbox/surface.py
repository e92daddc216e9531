"""The points of a part that a camera sees, and what is known about each of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reshift.datamodules.gearbox.camera import Camera
from reshift.datamodules.gearbox.components import Distance, Solid
from reshift.datamodules.gearbox.trace import BLOCK, MISS, normals, trace

Triple = tuple[Tensor, Tensor, Tensor]
NORMAL_STEP = 0.06  # mm


@dataclass(frozen=True)
class Surface:
    """Surface points seen through samples of a picture; all tensors are flat and of one length, in mm.

    Attributes:
        index: which of the requested samples each point answers.
        point, normal, sight: the points, their outward unit normals, the unit directions to the camera.
    """

    index: Tensor
    point: Triple
    normal: Triple
    sight: Triple

    def __len__(self) -> int:
        return len(self.index)

    def only(self, at: Tensor) -> Surface:
        """The points at the given positions."""
        pick = [(t[0][at], t[1][at], t[2][at]) for t in (self.point, self.normal, self.sight)]
        return Surface(self.index[at], *pick)


def look(solid: Solid, camera: Camera, rows: Tensor, columns: Tensor, grid: int) -> Surface:
    """What the camera sees through the given pixel positions (fractions allowed) of a grid x grid picture."""
    pieces = [
        _look(solid, camera, rows[start : start + BLOCK], columns[start : start + BLOCK], grid, start)
        for start in range(0, max(len(rows), 1), BLOCK)
    ]
    if len(pieces) == 1:
        return pieces[0]
    return Surface(
        torch.cat([piece.index for piece in pieces]),
        *(
            (torch.cat([p[0] for p in t]), torch.cat([p[1] for p in t]), torch.cat([p[2] for p in t]))
            for t in ([s.point for s in pieces], [s.normal for s in pieces], [s.sight for s in pieces])
        ),
    )


def _look(solid: Solid, camera: Camera, rows: Tensor, columns: Tensor, grid: int, offset: int) -> Surface:
    rays = camera.rays(rows, columns, grid)
    reached = trace(solid, camera.origin, *rays)
    hit = torch.nonzero(reached < MISS).squeeze(1)
    t = reached[hit]
    dx, dy, dz = (ray[hit] for ray in rays)
    ox, oy, oz = camera.origin
    point = (dx * t + ox, dy * t + oy, dz * t + oz)
    return Surface(hit + offset, point, normals(solid.distance, *point, NORMAL_STEP), (-dx, -dy, -dz))


def dot(a: Triple, b: Triple | tuple[float, float, float]) -> Tensor:
    """Scalar products of vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(a: Triple) -> Triple:
    """Vectors scaled to length 1."""
    scale = 1 / dot(a, a).sqrt().clamp_min(1e-6)
    return a[0] * scale, a[1] * scale, a[2] * scale


def openness(distance: Distance, surface: Surface) -> Tensor:
    """0 (buried in a corner) to 1 (free) for every point, from the room along its normal."""
    (x, y, z), (nx, ny, nz) = surface.point, surface.normal
    near = distance(x + 1.2 * nx, y + 1.2 * ny, z + 1.2 * nz) * (1 / 1.2)
    far = distance(x + 5.0 * nx, y + 5.0 * ny, z + 5.0 * nz) * (1 / 5.0)
    return (0.45 * near.clamp(0, 1) + 0.55 * far.clamp(0, 1)).clamp(0, 1)
