"""The label rule and how large marks are drawn: physical size x depth against one tolerance for all components.

A part is defective if and only if it carries a mark with size (mm) x depth (mm) above `TOLERANCE`. Good and defective
parts alike carry smaller marks of the same kinds, stains, oil and light scratches.
"""

from __future__ import annotations

import math

import numpy as np

from reshift.datamodules.synthetic.camera import Vector
from reshift.datamodules.synthetic.marks import Mark
from reshift.datamodules.synthetic.noise import Noise

DEFECTS = ("corrosion", "notch", "pitting", "scoring", "scratch")
HARMLESS = ("stain", "oil", "light_scratch")
TOLERANCE = 2.0  # mm x mm
NEAR = 0.2  # share of the tolerance within which a part counts as near it
ABOVE = (1.05, 3.4)  # severity of defects, in tolerances
BELOW = (0.12, 0.95)  # severity of harmless marks of the same kinds
# size in mm at a severity of one tolerance; a mark twice as severe is 2 ** GROWTH larger and deeper by the rest
_SIZE = {"corrosion": 8.5, "notch": 2.4, "pitting": 6.0, "scoring": 9.0, "scratch": 12.0}
_GROWTH = {"corrosion": 0.6, "notch": 0.55, "pitting": 0.55, "scoring": 0.5, "scratch": 0.5}


def severity(mark: Mark) -> float:
    """Physical size x depth in tolerances; above 1 the part is defective."""
    return mark.size * mark.depth / TOLERANCE


def draw_severity(defective: bool, draw: np.random.Generator) -> float:
    """A severity on the stated side of the tolerance, in tolerances."""
    low, high = ABOVE if defective else BELOW
    # rounded: `log` and `exp` may differ in the last bit between platforms
    return round(math.exp(draw.uniform(math.log(low), math.log(high))), 6)


def draw_mark(kind: str, level: float, frame: tuple[Vector, Vector, Vector, Vector], draw: np.random.Generator) -> Mark:
    """A mark of severity `level` (in tolerances; ignored for harmless kinds) at (centre, sliding, across, outwards).

    Scoring follows the sliding direction; everything else lies at any angle.
    """
    centre, sliding, across, outwards = frame
    noise = Noise(draw)
    if kind in HARMLESS:
        size = draw.uniform(*{"stain": (5.0, 13.0), "oil": (5.0, 12.0), "light_scratch": (6.0, 16.0)}[kind])
        depth = 0.0
    else:
        size = round(_SIZE[kind] * level ** _GROWTH[kind] * draw.uniform(0.85, 1.18), 6)
        depth = level * TOLERANCE / size
    turn = draw.uniform(-0.1, 0.1) if kind == "scoring" else draw.uniform(0, math.pi)
    cos, sin = round(math.cos(turn), 6), round(math.sin(turn), 6)
    along = _mix(sliding, across, cos, sin)
    beside = _mix(sliding, across, -sin, cos)
    pits: list[tuple[float, float, float]] = []
    if kind == "pitting":
        for _ in range(int(draw.integers(5, 9))):
            r = draw.uniform(0.13, 0.2) * size
            angle, off = draw.uniform(0, math.tau), (size / 2 - r) * math.sqrt(draw.random())
            pits.append((round(math.cos(angle) * off, 6), round(math.sin(angle) * off, 6), r))
    bend = draw.uniform(-0.02, 0.02) if "scratch" in kind else 0.0
    return Mark(kind, centre, along, beside, outwards, size, depth, bend, tuple(pits), noise)


def _mix(u: Vector, v: Vector, a: float, b: float) -> Vector:
    x, y, z = (a * p + b * q for p, q in zip(u, v, strict=True))
    return x, y, z
