"""Smooth noise on coordinates, from integer hashes only, so that every platform draws the same surface."""

from __future__ import annotations

import torch
from torch import Tensor


def _hashed(cell: Tensor) -> Tensor:
    # 31-bit mixing in int64: no product overflows, so no platform's wrap-around matters
    cell = (cell ^ (cell >> 15)) * 0x2C1B3C6D & 0x7FFFFFFF
    cell = (cell ^ (cell >> 12)) * 0x297A2D39 & 0x7FFFFFFF
    return (cell ^ (cell >> 15)).to(torch.float32) * (2.0 / 0x7FFFFFFF) - 1.0


def lines(coordinate: Tensor, salt: int) -> Tensor:
    """Noise in -1..1 along one coordinate, one knot per unit."""
    floor = coordinate.floor()
    part = coordinate - floor
    cell = (floor.to(torch.int64) * 7919 + salt) & 0x7FFFFFFF
    low, high = _hashed(cell), _hashed((cell + 7919) & 0x7FFFFFFF)
    return low + (high - low) * (part * part * (3 - 2 * part))


def clouds(x: Tensor, y: Tensor, z: Tensor, salt: int) -> Tensor:
    """Noise in -1..1 over space, one knot per unit cube."""
    floors = [value.floor() for value in (x, y, z)]
    fx, fy, fz = ((v - f) * (v - f) * (3 - 2 * (v - f)) for v, f in zip((x, y, z), floors, strict=True))
    ix, iy, iz = (floor.to(torch.int64) for floor in floors)
    base = ix * 73856 + iy * 19349 + iz * 83492 + salt

    def row(offset: int) -> Tensor:
        low, high = _hashed((base + offset) & 0x7FFFFFFF), _hashed((base + offset + 73856) & 0x7FFFFFFF)
        return low + (high - low) * fx

    near = row(0)
    near = near + (row(19349) - near) * fy
    far = row(83492)
    far = far + (row(83492 + 19349) - far) * fy
    return near + (far - near) * fz
