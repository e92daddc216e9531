"""Distance primitives on coordinate tensors, built from exactly rounded operations only.

Coordinates are kept as separate tensors (x, y, z), in millimetres, and no transcendental kernel is called: addition,
multiplication, division and square root round the same way on every processor and for every thread count, vendor
sines do not. All distances are lower bounds, negative inside, so that sphere tracing never steps through a wall.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def arctangent(y: Tensor, x: Tensor) -> Tensor:
    """The angle of (x, y) in radians, -pi to pi, to about 2e-5: a polynomial after reduction to one octant."""
    ax, ay = x.abs(), y.abs()
    ratio = torch.minimum(ax, ay) / torch.maximum(ax, ay).clamp_min(1e-6)
    square = ratio * ratio
    angle = square * -0.0117212
    for coefficient in (0.05265332, -0.11643287, 0.19354346, -0.33262347):
        angle = (angle + coefficient) * square
    angle = (angle + 0.99997726) * ratio
    angle = torch.where(ay > ax, math.pi / 2 - angle, angle)
    angle = torch.where(x < 0, math.pi - angle, angle)
    return torch.where(y < 0, -angle, angle)


def radius(x: Tensor, y: Tensor) -> Tensor:
    """Distance from the z axis."""
    return (x * x + y * y).sqrt_()


def sector(angle: Tensor, r: Tensor, count: int, turn: float = 0.0) -> tuple[Tensor, Tensor]:
    """Fold the plane into one of `count` equal sectors: (along the sector's middle, across it)."""
    k = angle * (count / math.tau) + turn
    phi = (k - torch.round(k)) * (math.tau / count)
    s = phi * phi
    if count < 12:  # wide sectors need one more term of the two series
        return r * (1 - s * (0.5 - s / 24)), r * phi * (1 - s * (1 / 6 - s / 120))
    return r * (1 - s * 0.5), r * phi * (1 - s * (1 / 6))


def tooth(u: Tensor, v: Tensor, tip: float, half_width: float, slope: float) -> Tensor:
    """A tooth of half width `half_width` at its tip, growing by `slope` towards the axis; ends at radius `tip`."""
    flank = (v.abs() + u * slope - (half_width + tip * slope)) * (1 / math.sqrt(1 + slope * slope))
    return torch.maximum(flank, u - tip)


def slab(z: Tensor, half: float, centre: float = 0.0) -> Tensor:
    """Everything with |z - centre| below `half`."""
    return (z - centre).abs() - half


def chamfer(r: Tensor, height: Tensor, reach: float) -> Tensor:
    """The cone that cuts an edge where r + height exceeds `reach`; `height` is |z|."""
    return (r + height - reach) * math.sqrt(0.5)


def every(*distances: Tensor) -> Tensor:
    """The common part of solids."""
    out = distances[0]
    for distance in distances[1:]:
        out = torch.maximum(out, distance)
    return out


def either(*distances: Tensor) -> Tensor:
    """The union of solids."""
    out = distances[0]
    for distance in distances[1:]:
        out = torch.minimum(out, distance)
    return out


def without(solid: Tensor, *cuts: Tensor) -> Tensor:
    """A solid less some cuts."""
    for cut in cuts:
        solid = torch.maximum(solid, -cut)
    return solid
