"""How each kind of mark changes colour, gloss and slope of the surface, and which points it covers."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from reshift.datamodules.gearbox.finish import Skin
from reshift.datamodules.gearbox.marks import PROPORTIONS, Mark
from reshift.datamodules.gearbox.noise import clouds, lines
from reshift.datamodules.gearbox.plan import TOLERANCE
from reshift.datamodules.gearbox.surface import Surface, dot

COVERED = 0.25
"""Share of a mark's full strength from which a point counts as covered by it."""
GRAZING = 0.2
"""Cosine to the line of sight below which a mark on the surface is too foreshortened to be seen."""
_RUST = (0.19, 0.105, 0.060)
_DIRT = (0.105, 0.08, 0.06)
_PAINT = (0.05, 0.16, 0.42)
_METAL = (0.95, 0.93, 0.90)
_DARK = (0.012, 0.011, 0.010)

Field = tuple[Tensor, Tensor, Tensor]
"""Strength 0..1 and the height's derivatives (per mm) along and across the mark."""


def apply(mark: Mark, surface: Surface, skin: Skin) -> None:
    """Change the skin where the mark is."""
    at = mark.near(surface)
    if not len(at):
        return
    if mark.kind == "notch":
        _break(mark, surface, skin, at)
        return
    point = tuple(axis[at] for axis in surface.point)
    a, b = mark.coordinates((point[0], point[1], point[2]))
    strength, da, db = _FIELDS[mark.kind](mark, a, b)
    colour, opaque, gloss = _look_of(mark)
    for k in range(3):
        tone = colour[k]
        base = skin.albedo[k][at]
        skin.albedo[k][at] = base + (tone - base) * (opaque * strength)
        skin.slope[k][at] += -(da * mark.along[k] + db * mark.across[k])
    skin.gloss[at] = (skin.gloss[at] * (1 - opaque * strength) + gloss * strength).clamp_min(0)


def covered(mark: Mark, surface: Surface) -> Tensor:
    """Positions of the points that the mark changes visibly; for a notch, of the points that it takes away."""
    at = mark.near(surface)
    x, y, z = (axis[at] for axis in surface.point)
    if mark.kind == "notch":
        (cx, cy, cz), radius = mark.ball
        return at[(x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < radius * radius]
    strength, _, _ = _FIELDS[mark.kind](mark, *mark.coordinates((x, y, z)))
    return at[(strength > COVERED) & (dot(surface.normal, surface.sight)[at] > GRAZING)]


def _look_of(mark: Mark) -> tuple[tuple[float, float, float], float, float]:
    # colour, how much it hides the metal, gloss; a defect hides the more the deeper it is
    fresh = _METAL if mark.bright else _DARK
    if mark.kind in PROPORTIONS:
        typical = math.sqrt(TOLERANCE / PROPORTIONS[mark.kind])  # the depth at the tolerance
        opaque = min(0.95, 0.85 * (mark.depth / typical) ** 2)
        return {"pitting": _DARK, "corrosion": _RUST}.get(mark.kind, fresh), opaque, 0.1
    return {
        "stain": (_DIRT, 0.38, 0.15),
        "hairline": (fresh, 0.16, 0.1),
        "oil": (_DARK, 0.22, 1.0),
        "dot": (_PAINT, 0.95, 0.35),
    }[mark.kind]


def _pits(mark: Mark, a: Tensor, b: Tensor) -> Field:
    strength, da, db = torch.zeros_like(a), torch.zeros_like(a), torch.zeros_like(a)
    for x, y, radius in mark.spots:
        u, v = (a - x) / radius, (b - y) / radius
        bowl = (1 - u * u - v * v).clamp_min(0)
        strength = torch.maximum(strength, bowl * (2 - bowl))
        da, db = da + bowl * u * (4 * mark.depth / radius), db + bowl * v * (4 * mark.depth / radius)
    return strength, da, db


def _line(mark: Mark, a: Tensor, b: Tensor, half_width: float, shift: float, length: float) -> tuple[Tensor, Tensor]:
    v = b / half_width
    groove = (1 - v * v).clamp_min(0)
    ends = (4 * (0.5 - ((a - shift) / length).abs())).clamp(0, 1)
    return groove * ends, groove * v * ends * (4 * mark.depth / half_width)


def _scratch(mark: Mark, a: Tensor, b: Tensor) -> Field:
    bend, _, _ = mark.spots[0]
    strength, db = _line(mark, a, b - bend * a * a, 0.40 + 2.0 * mark.depth, 0.0, mark.size)
    return strength, torch.zeros_like(a), db


def _scores(mark: Mark, a: Tensor, b: Tensor) -> Field:
    strength, slope = torch.zeros_like(a), torch.zeros_like(a)
    for place, shift, share in mark.spots:
        one, db = _line(mark, a, b - place, 0.30 + 1.0 * mark.depth, shift, mark.size * share)
        strength, slope = torch.maximum(strength, one), slope + db
    return strength, torch.zeros_like(a), slope


def _patch(mark: Mark, a: Tensor, b: Tensor) -> Field:
    radius = mark.size / 2
    edge = (1 - (a * a + b * b) / (radius * radius)).clamp_min(0)
    flat = torch.zeros_like(a)
    ragged = clouds(a * 0.6, b * 0.6, flat, mark.salt)
    strength = ((edge * 2.2 + ragged * 0.9 - 0.35).clamp(0, 1)) * (edge > 0)
    if mark.kind == "corrosion":
        gain = 1.6 * mark.depth
        return (
            strength,
            lines(a * 1.7 + b, mark.salt) * strength * gain,
            lines(b * 1.9 - a, mark.salt + 3) * strength * gain,
        )
    return strength, flat, flat


def _disc(mark: Mark, a: Tensor, b: Tensor) -> Field:
    radius = mark.size / 2
    strength = ((1 - (a * a + b * b) / (radius * radius)) * 3).clamp(0, 1)
    return strength, torch.zeros_like(a), torch.zeros_like(a)


def _break(mark: Mark, surface: Surface, skin: Skin, at: Tensor) -> None:
    # the broken face: dark, rough and dull metal on the ball that the notch cut out
    (cx, cy, cz), radius = mark.ball
    x, y, z = (axis[at] for axis in surface.point)
    on = ((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2).sqrt() - radius
    at, x, y, z = (value[on.abs() < 0.06] for value in (at, x, y, z))
    rough = clouds(x * 1.8, y * 1.8, z * 1.8, mark.salt)
    for k in range(3):
        skin.albedo[k][at] = skin.albedo[k][at] * (0.25 + 0.12 * rough)
        skin.slope[k][at] += 0.25 * rough
    skin.gloss[at] = skin.gloss[at] * 0.15


_FIELDS: dict[str, Callable[[Mark, Tensor, Tensor], Field]] = {
    "pitting": _pits,
    "scratch": _scratch,
    "scoring": _scores,
    "corrosion": _patch,
    "stain": _patch,
    "hairline": _scratch,
    "oil": _patch,
    "dot": _disc,
}
