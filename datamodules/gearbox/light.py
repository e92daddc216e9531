"""Two kinds of lighting, the shading under them, and the workbench behind the part."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reshift.datamodules.gearbox.camera import Camera, Vector
from reshift.datamodules.gearbox.finish import Skin
from reshift.datamodules.gearbox.noise import clouds, lines
from reshift.datamodules.gearbox.surface import Surface, Triple, dot, unit

ACQUISITIONS = ("ring", "side")


@dataclass(frozen=True)
class Lighting:
    """Lamps in the part's frame (unit direction, strength), their colour, and the bench's grey."""

    lamps: tuple[tuple[Vector, float], ...]
    ambient: float
    colour: Vector
    bench: float
    salt: int


def lighting_for(acquisition: str, workshop: bool, camera: Camera, draw: np.random.Generator) -> Lighting:
    """A ring of lamps around the camera, or one lamp from the side with a weak fill.

    Args:
        workshop: warm light from other directions over a darker bench, instead of the white light of the lab.
    """
    turn = draw.uniform(0, 360)
    strength, grey, warmth = draw.uniform(0.85, 1.15), draw.uniform(0.85, 1.15), draw.uniform(-0.02, 0.02)
    jitter, salt = draw.uniform(-8, 8), int(draw.integers(1 << 20))
    if acquisition == "ring":
        polar = (48 if workshop else 34) + jitter / 2
        lamps = tuple((_direction(camera, polar, turn + 60 * k), 0.27 * strength) for k in range(6))
        ambient = 0.22
    else:
        azimuth, polar = (200 + turn / 6, 50 + jitter) if workshop else (30 + turn / 3, 58 + jitter)
        key, fill = _direction(camera, polar, azimuth), _direction(camera, 45, azimuth + 160)
        lamps, ambient = ((key, 1.55 * strength), (fill, 0.35 * strength)), 0.20
    red, blue = (1.10, 0.84) if workshop else (1.0, 1.0)
    colour = (red * (1 + warmth), 1.0, blue * (1 - warmth))
    return Lighting(lamps, ambient, colour, (0.085 if workshop else 0.15) * grey, salt)


def shade(surface: Surface, skin: Skin, free: Tensor, camera: Camera, light: Lighting) -> Tensor:
    """Linear RGB, (points, 3), of lit points; `free` is their openness."""
    nx, ny, nz = surface.normal
    normal = unit((nx + skin.slope[0], ny + skin.slope[1], nz + skin.slope[2]))
    diffuse, shine = torch.full_like(nx, light.ambient) * (0.35 + 0.65 * free), torch.zeros_like(nx)
    for direction, strength in light.lamps:
        facing = dot(normal, direction).clamp_min(0)
        diffuse = diffuse + strength * facing * (0.45 + 0.55 * free)
        half = unit(_sum(surface.sight, direction))
        lobe = dot(normal, half).clamp_min(0)
        for _ in range(4):  # to the 16th power
            lobe = lobe * lobe
        shine = shine + strength * (lobe * 0.45 + lobe * lobe * 0.35) * (facing > 0)
    mirrored = 2 * dot(normal, surface.sight)
    upward = mirrored * dot(normal, camera.up) - dot(surface.sight, camera.up)
    sky = ((upward + 0.2) * 1.2).clamp(0, 1)
    shine = shine + 0.30 * sky * sky * (3 - 2 * sky)
    gloss = skin.gloss.clamp(0, 2) * (0.25 + 0.75 * free) * 0.45
    return torch.stack(
        [
            (skin.albedo[k].clamp(0, 1.2) * diffuse + gloss * shine * (0.35 + 0.9 * skin.albedo[k].clamp(0, 1))) * tone
            for k, tone in enumerate(light.colour)
        ],
        dim=1,
    )


def bench(rows: Tensor, columns: Tensor, light: Lighting) -> Tensor:
    """Linear RGB, (samples, 3), of the bare workbench; rows and columns run over 0..1."""
    x, y, flat = columns * 128, rows * 128, torch.zeros_like(rows)
    blots, grain = clouds(x / 37, y / 37, flat, light.salt), clouds(x / 5, y / 5, flat, light.salt + 3)
    stripes = lines(x / 3 + y / 40, light.salt + 7)
    vignette = 1 - 0.5 * ((rows - 0.5) * (rows - 0.5) + (columns - 0.5) * (columns - 0.5))
    grey = light.bench * vignette * (1 + 0.16 * blots + 0.09 * grain + 0.06 * stripes)
    return torch.stack([grey * tone for tone in light.colour], dim=1)


def _direction(camera: Camera, polar: float, azimuth: float) -> Vector:
    s, c = math.sin(math.radians(polar)), math.cos(math.radians(polar))
    a, b = s * math.cos(math.radians(azimuth)), s * math.sin(math.radians(azimuth))
    x, y, z = (
        round(a * r + b * u + c * t, 6)  # rounded: the last bit of a platform's sine must not reach the pixels
        for r, u, t in zip(camera.right, camera.up, camera.towards, strict=True)
    )
    return x, y, z


def _sum(a: Triple, b: Vector) -> Triple:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]
