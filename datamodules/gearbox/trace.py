"""Sphere tracing of a distance function, in blocks small enough to run the same on any number of threads."""

from __future__ import annotations

import torch
from torch import Tensor

from reshift.datamodules.gearbox.camera import Vector
from reshift.datamodules.gearbox.components import Distance, Solid

BLOCK = 16384
"""Rays computed together: below torch's grain size (32768), so that no operation is split over threads."""
MISS = float("inf")
_NEAR = 0.03  # mm at which a ray has arrived
_STEPS = 40


def trace(solid: Solid, origin: Vector, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Distance in mm along each unit ray to the solid, infinite where it misses."""
    ox, oy, oz = origin
    a = (x * x + y * y).clamp_min(1e-9)
    b = x * ox + y * oy
    under = b * b - a * (ox * ox + oy * oy - solid.reach * solid.reach)
    width = under.clamp_min(0).sqrt()
    flat = torch.where(z.abs() < 1e-6, 1e-6, z)
    top, bottom = (solid.half_height - oz) / flat, (-solid.half_height - oz) / flat
    start = torch.maximum((-b - width) / a, torch.minimum(top, bottom))
    end = torch.minimum((-b + width) / a, torch.maximum(top, bottom))
    found = torch.full_like(x, MISS)
    index = torch.nonzero((under > 0) & (start < end)).squeeze(1)
    march(solid.distance, origin, (x, y, z), index, start[index], end[index], found)
    return found


def march(
    distance: Distance,
    origin: Vector,
    rays: tuple[Tensor, Tensor, Tensor],
    index: Tensor,
    t: Tensor,
    end: Tensor,
    found: Tensor,
) -> None:
    """March the rays at `index` from `t` until `end`, writing arrivals into `found`."""
    ox, oy, oz = origin
    x, y, z = (ray[index] for ray in rays)
    for step in range(_STEPS):
        if index.numel() == 0:
            return
        d = distance(t * x + ox, t * y + oy, t * z + oz)
        arrived = d < (_NEAR if step < _STEPS - 1 else 8 * _NEAR)
        t = torch.where(arrived, t, t + d)
        if step % 3 == 2 or step == _STEPS - 1:
            found[index[arrived]] = t[arrived]
            keep = torch.nonzero(~arrived & (t < end)).squeeze(1)
            index, t, end, x, y, z = index[keep], t[keep], end[keep], x[keep], y[keep], z[keep]


def normals(distance: Distance, x: Tensor, y: Tensor, z: Tensor, step: float) -> tuple[Tensor, Tensor, Tensor]:
    """Unit outward normals by differences on a tetrahedron of half edge `step` mm."""
    a = distance(x + step, y - step, z - step)
    b = distance(x - step, y - step, z + step)
    c = distance(x - step, y + step, z - step)
    d = distance(x + step, y + step, z + step)
    nx, ny, nz = a - b - c + d, c + d - a - b, b + d - a - c
    scale = 1 / (nx * nx + ny * ny + nz * nz).sqrt().clamp_min(1e-9)
    return nx * scale, ny * scale, nz * scale
