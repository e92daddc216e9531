"""The five components as distance functions; all are about as large, so that a pixel means as many millimetres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from reshift.datamodules.gearbox.distance import (
    arctangent,
    chamfer,
    either,
    every,
    radius,
    sector,
    slab,
    tooth,
    without,
)

Distance = Callable[[Tensor, Tensor, Tensor], Tensor]
Draw = np.random.Generator


@dataclass(frozen=True)
class Solid:
    """A solid of revolution-like shape around the z axis.

    Attributes:
        distance: (x, y, z) in mm to a lower bound of the signed distance in mm.
        reach: radius in mm of the cylinder around z that holds it.
        half_height: half height in mm of that cylinder.
        lying: whether it is looked at from the side (a shaft) rather than on its face.
    """

    distance: Distance
    reach: float
    half_height: float
    lying: bool = False


def gear_wheel(draw: Draw, style: int) -> Solid:
    """Large teeth, a recessed web and a splined bore; style 1 has fewer, helical teeth and holes in the web."""
    count = int(draw.integers(19, 22) if style else draw.integers(26, 30))
    half = draw.uniform(6.5, 8.0)
    helix = draw.uniform(0.014, 0.020) * count if style else 0.0
    tip, bore, hub = 40.0, draw.uniform(8.5, 10.5), draw.uniform(15.5, 17.0)
    root = tip - (7.0 if style else 5.5)
    width = root * 3.1416 / count
    rim, recess, holes = root - draw.uniform(4.5, 5.5), half - draw.uniform(3.0, 4.0), int(draw.integers(5, 7))
    middle = (hub + rim) / 2
    hole = min(3.6, (rim - hub) / 2 - 0.9)

    def distance(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        r, angle, height = radius(x, y), arctangent(y, x), z.abs()
        u, v = sector(angle + z * (helix / count) if style else angle, r, count)
        wheel = either(r - root, tooth(u, v, tip, width * 0.32, 0.28))
        wheel = every(wheel, height - half, chamfer(r, height, tip + half - 1.6))
        wheel = without(wheel, every(r - rim, hub - r, recess - height))
        wheel = without(wheel, either(r - bore, every((y.abs() - 2.0), r - (bore + 2.5), -x)))
        if style:
            u, v = sector(angle, r, holes)
            wheel = without(wheel, radius(u - middle, v) - hole)
        return wheel * 0.92

    return Solid(distance, tip + 0.1, half + 0.1)


def synchronizer_ring(draw: Draw, style: int) -> Solid:
    """A thin conical ring: small pointed teeth on a flange, three lugs, grooves on the inner cone."""
    count = int(draw.integers(36, 40) if style else draw.integers(46, 52))
    half, tip = draw.uniform(6.5, 7.5), 39.5
    outer, inner = draw.uniform(33.5, 34.2), draw.uniform(28.8, 29.6)
    cone, pitch = draw.uniform(0.10, 0.14), (2.6 if style else 1.9)
    slots = int(draw.integers(6, 8) if style else draw.integers(9, 12))
    lug = 5.5 if style else 4.0

    def distance(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        r, angle = radius(x, y), arctangent(y, x)
        inside = (inner - z * cone) - r
        u, v = sector(angle, r, count)
        flange = every(either(r - (tip - 3.2), tooth(u, v, tip, 0.35, 0.62)), slab(z, 1.6, 1.7 - half))
        body = every(r - outer + (z + half) * 0.06, slab(z, half))
        u, v = sector(angle, r, 3)
        lugs = every(u - 37.5, outer - 2.0 - u, v.abs() - lug, slab(z, half / 2 + 0.6, half / 2 - 0.6))
        ring = every(either(flange, body, lugs), inside)
        turn = z * (1 / pitch)
        thread = (0.25 - (turn - turn.round()).abs()) * pitch
        u, v = sector(angle, r, slots, 0.3)
        grooves = either(every(-thread, r - (inner - z * cone) - 0.55), every(v.abs() - 1.1, r - (inner + 1.3)))
        return without(ring, every(grooves, -inside - 1.6)) * 0.86

    return Solid(distance, tip + 0.1, half + 0.1)


def synchronizer_body(draw: Draw, style: int) -> Solid:
    """A hub: fine outer teeth broken by three slots, a recess on both faces, a splined bore."""
    count = int(draw.integers(33, 37) if style else draw.integers(42, 46))
    half, tip, bore = draw.uniform(7.5, 9.0), 39.5, draw.uniform(11.5, 13.0)
    splines, slot = int(draw.integers(12, 15) if style else draw.integers(18, 22)), (4.5 if style else 6.0)
    root, hub, rim = tip - 3.2, bore + 6.0, 29.5
    recess, pins = half - draw.uniform(3.0, 4.5), style == 1

    def distance(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        r, angle, height = radius(x, y), arctangent(y, x), z.abs()
        u, v = sector(angle, r, count)
        body = either(r - root, tooth(u, v, tip, root * 1.1 / count, 0.2))
        body = every(body, height - half, chamfer(r, height, tip + half - 1.2))
        body = without(body, every(r - rim, hub - r, recess - height))
        u, v = sector(angle, r, splines)
        bored = either(r - bore, tooth(u, v, bore + 1.9, bore * 1.2 / splines, -0.15))
        u, v = sector(angle, r, 3)
        cuts = every(v.abs() - slot, 31.5 - u)
        if pins:
            u, v = sector(angle, r, 3, 0.5)
            cuts = either(cuts, radius(u - (hub + rim) / 2, v) - 3.0)
        return without(body, bored, cuts) * 0.95

    return Solid(distance, tip + 0.1, half + 0.1)


def synchronizer_collar(draw: Draw, style: int) -> Solid:
    """A sliding sleeve: a fork groove around the outside, splines around the inside."""
    count = int(draw.integers(27, 31) if style else draw.integers(36, 40))
    half, outer, inner = draw.uniform(10.0, 12.0), 39.5, draw.uniform(30.5, 31.5)
    fork, bottom = (2.6 if style else 3.8), outer - draw.uniform(3.0, 4.0)
    bevel = 2.6 if style else 1.4

    def distance(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        r, angle, height = radius(x, y), arctangent(y, x), z.abs()
        sleeve = every(r - outer, height - half, chamfer(r, height, outer + half - bevel))
        sleeve = without(sleeve, every(height - fork, bottom - r))
        u, v = sector(angle, r, count)
        # the gap between two splines is what is cut away: it widens towards the axis as real splines' gaps do not,
        # but stays parallel enough at these counts
        gap = tooth(u, v, inner + 2.6, inner * 1.55 / count, -0.1)
        lead = (r + (half - height) * 0.8 - (inner + 2.8)) * 0.78
        return without(sleeve, either(r - inner, gap, every(lead, r - inner - 2.6))) * 0.95

    return Solid(distance, outer + 0.1, half + 0.1)


def splined_shaft(draw: Draw, style: int) -> Solid:
    """A long stepped shaft: journals, a shoulder, a splined end and two ring grooves."""
    count = int(draw.integers(12, 15) if style else draw.integers(18, 21))
    journal, body, shoulder = draw.uniform(9.5, 10.5), draw.uniform(12.5, 13.5), draw.uniform(16.5, 18.0)
    tip = body + 1.2 if style else body - 0.2
    start, step = draw.uniform(-4.0, 0.0), draw.uniform(-26.0, -22.0)
    thick, cross = (3.0 if style else 4.5), style == 1

    def distance(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        r, angle = radius(x, y), arctangent(y, x)
        u, v = sector(angle, r, count)
        splined = either(r - (tip - 2.4), tooth(u, v, tip, tip * 1.15 / count, 0.25))
        splined = every(splined, slab(z, (44 - start - 5) / 2, (44 + start + 5) / 2), r + z - (44 + tip - 1.5))
        shaft = either(
            splined,
            every(r - journal, slab(z, 44.0), chamfer(r, z.abs(), 44 + journal - 1.5)),
            every(r - body, slab(z, (start - step) / 2 + 3, (start + step) / 2)),
            every(r - shoulder, slab(z, thick, step), chamfer(r, (z - step).abs(), shoulder + thick - 1.0)),
        )
        rings = either(every(slab(z, 1.1, 39.5), tip - 3.6 - r), every(slab(z, 1.0, -37.0), journal - 1.4 - r))
        shaft = without(shaft, rings)
        if cross:
            shaft = without(shaft, radius(x, z + 12.0) - 3.2)
        return shaft * 0.9

    return Solid(distance, shoulder + 0.1, 44.1, lying=True)


COMPONENTS: dict[str, Callable[[Draw, int], Solid]] = {
    "gear_wheel": gear_wheel,
    "splined_shaft": splined_shaft,
    "synchronizer_body": synchronizer_body,
    "synchronizer_collar": synchronizer_collar,
    "synchronizer_ring": synchronizer_ring,
}
