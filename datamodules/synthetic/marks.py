"""What a mark does to the surface around it: where it reaches, how deep it cuts, how it stains.

A mark lives in a local frame (a along, b across, c outwards, mm) at a point of the good surface. `weight` in [0, 1] says
how much of the mark is at a point; the surface is lowered by depth x weight. A notch is cut out as a ball instead,
since a chip takes the whole corner away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reshift.datamodules.synthetic.camera import Vector
from reshift.datamodules.synthetic.components import Distance
from reshift.datamodules.synthetic.noise import Noise

SHOWN = 0.35
"""Weight above which a pixel belongs to the mark's mask."""
SCRATCH_HALF_WIDTH = 0.75  # mm
GROOVE_SPACING = 1.7  # mm between the grooves of scoring


@dataclass(frozen=True)
class Mark:
    """One mark on a part.

    Attributes:
        kind: a defect kind, or stain, oil, light_scratch for the harmless ones.
        centre: point on the good surface, mm; `along`, `across` and `outwards` are unit vectors there.
        size: largest extent in mm.
        depth: depth in mm; 0 for marks that leave the surface as it was.
        bend: curvature of a scratch in 1/mm.
        pits: for pitting: (a, b, radius) of every pit, mm.
        noise: irregular outline of patches.
    """

    kind: str
    centre: Vector
    along: Vector
    across: Vector
    outwards: Vector
    size: float
    depth: float
    bend: float = 0.0
    pits: tuple[tuple[float, float, float], ...] = ()
    noise: Noise | None = None

    @property
    def reach(self) -> float:
        """Radius in mm of a ball that holds the mark."""
        return self.size * (1.0 if self.kind == "notch" else 0.62) + 1.2

    def local(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates in the mark's frame."""
        x, y, z = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        a, b, c = (x * e[0] + y * e[1] + z * e[2] for e in (self.along, self.across, self.outwards))
        return a, b, c

    def near(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Which points the mark can touch."""
        x, y, z = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        return x * x + y * y + z * z < self.reach * self.reach

    def cut(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """Signed distance to the chipped-off ball of a notch, roughened."""
        ball = (self.size * self.size / 4 + self.depth * self.depth) / (2 * self.depth)
        a, b, c = self.local(x, y, z)
        lift = c - (ball - self.depth)
        rough = _grain(self.noise, a, b, c) * 0.5
        return (a * a + b * b + lift * lift).sqrt() - ball + rough

    def weight(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """How much of the mark is at a point, 0 to 1."""
        if self.kind == "notch":
            return (self.cut(x, y, z) < 0).float()
        a, b, c = self.local(x, y, z)
        half = self.size / 2
        flat = (1 - c * c * (1 / 9)).clamp_min(0)  # marks stay on the face they were made on
        if self.kind in ("scratch", "light_scratch"):
            width = SCRATCH_HALF_WIDTH if self.kind == "scratch" else 0.45
            over = (a.abs() - half + width).clamp_min(0)
            off = b - self.bend * (a * a - half * half * 0.5)
            inside = (1.3 - (over * over + off * off).sqrt() * (1.3 / width)).clamp(0, 1)
        elif self.kind == "scoring":
            turn = b * (1 / GROOVE_SPACING)
            groove = (1.45 - (turn - turn.round()).abs() * 2.9).clamp(0, 1)
            band = (half * 0.42 - b.abs()) * 2
            ends = half - a.abs() - _grain(self.noise, b, b, c) * 2
            inside = groove * band.clamp(0, 1) * ends.clamp(0, 1)
        elif self.kind == "pitting":
            inside = torch.zeros_like(a)
            for at, bt, r in self.pits:
                q = ((a - at) * (a - at) + (b - bt) * (b - bt)) * (1 / (r * r))
                inside = torch.maximum(inside, (1.3 - q * 1.3).clamp(0, 1))
        else:  # patches: corrosion, stain, oil
            q = (a * a + b * b).sqrt() * (1 / half) + _grain(self.noise, a, b, c) * 0.8 - 0.25
            inside = ((1 - q) * (4.0 if self.kind == "corrosion" else 3.0)).clamp(0, 1)
            if self.kind == "corrosion":
                inside = inside * (0.45 + 0.55 * _grain(self.noise, a * 2.2, b * 2.2, c * 2.2))
        return inside * flat


def _grain(noise: Noise | None, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    if noise is None:
        return torch.zeros_like(a)
    return noise.space(a * 0.55, b * 0.55, c * 0.55)


def carved(base: Distance, marks: tuple[Mark, ...]) -> Distance:
    """The good solid with `marks` cut into it."""

    def distance(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        d = base(x, y, z)
        for mark in marks:
            if mark.kind == "notch":
                d = torch.maximum(d, -mark.cut(x, y, z) * 0.8)
            else:
                d = d + mark.depth * mark.weight(x, y, z)
        return d * 0.8

    return distance


def shown(mark: Mark, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Which points of the good surface the mark's mask covers."""
    limit = SHOWN * (0.6 if mark.kind == "corrosion" else 1.0)
    return mark.near(x, y, z) & (mark.weight(x, y, z) > limit)
