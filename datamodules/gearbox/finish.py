"""The bare surface of a part: base metal, machining lines and mottling, which a transmission may decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from reshift.datamodules.gearbox.noise import clouds, lines
from reshift.datamodules.gearbox.surface import Surface, Triple


@dataclass
class Skin:
    """What light meets at every point; marks change it in place.

    Attributes:
        albedo: linear red, green, blue.
        gloss: strength of the highlight, 0..1.
        slope: what marks and machining add to the normal.
    """

    albedo: list[Tensor]
    gloss: Tensor
    slope: list[Tensor]


@dataclass(frozen=True)
class Finish:
    """How parts of one transmission are finished; `salt` gives every part its own pattern."""

    tint: tuple[float, float, float]
    gloss: float
    machining: float
    mottling: float
    salt: int

    def skin(self, surface: Surface) -> Skin:
        """The unmarked surface at every point."""
        x, y, z = surface.point
        r = (x * x + y * y).sqrt()
        turned = lines(r * 1.3 + z * 0.9, self.salt) * 0.6 + lines(r * 3.1 - z * 2.3, self.salt + 5) * 0.4
        coarse, fine = clouds(x * 0.12, y * 0.12, z * 0.12, self.salt), clouds(x * 0.7, y * 0.7, z * 0.7, self.salt + 9)
        shade = 1 + self.machining * turned + self.mottling * (0.7 * coarse + 0.5 * fine)
        relief = fine * (0.05 * self.mottling / 0.1)
        nx, ny, nz = surface.normal
        slope: Triple = (relief * ny + turned * 0.02 * x / r, relief * nz + turned * 0.02 * y / r, relief * nx)
        return Skin([shade * tone for tone in self.tint], shade * self.gloss, list(slope))


def finish_for(phosphated: bool, draw: np.random.Generator) -> Finish:
    """Bright ground steel, or the darker, duller phosphated one; every part varies around it."""
    tone, warmth = draw.uniform(0.88, 1.12), draw.uniform(-0.03, 0.03)
    gloss, machining, mottling = draw.uniform(0.8, 1.2), draw.uniform(0.7, 1.3), draw.uniform(0.7, 1.3)
    salt = int(draw.integers(1 << 20))
    if phosphated:
        base, gloss, machining, mottling = (0.125, 0.132, 0.140), 0.40 * gloss, 0.05 * machining, 0.13 * mottling
    else:
        base, gloss, machining, mottling = (0.22, 0.218, 0.214), 0.80 * gloss, 0.10 * machining, 0.07 * mottling
    red, green, blue = base
    return Finish(
        (red * tone * (1 + warmth), green * tone, blue * tone * (1 - warmth)), gloss, machining, mottling, salt
    )
