"""One part in front of its cameras: where its marks sit and which pixels each mark covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reshift.datamodules.gearbox.camera import Camera, Vector, camera_for, pixels
from reshift.datamodules.gearbox.components import COMPONENTS, Solid
from reshift.datamodules.gearbox.finish import Finish, finish_for
from reshift.datamodules.gearbox.knobs import REFERENCE_PIXELS, REFERENCE_SIZE, Knobs
from reshift.datamodules.gearbox.light import ACQUISITIONS, Lighting, lighting_for
from reshift.datamodules.gearbox.marks import HARMLESS, Mark, mark_at
from reshift.datamodules.gearbox.paint import covered
from reshift.datamodules.gearbox.plan import Plan
from reshift.datamodules.gearbox.seeding import generator
from reshift.datamodules.gearbox.surface import Surface, dot, look, openness

OFFSETS = ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25))
"""Rows and columns of the four samples of a finely sampled pixel."""
_ATTEMPTS = 400


@dataclass(frozen=True)
class View:
    """One camera, its light, and what it sees of the unmarked part at the reference size."""

    camera: Camera
    acquisition: str
    light: Lighting
    seen: Surface


@dataclass(frozen=True)
class Scene:
    """A part with all its marks; `defect` is the last of them on a defective part, None otherwise."""

    solid: Solid
    finish: Finish
    views: tuple[View, ...]
    marks: tuple[Mark, ...]
    defect: Mark | None


def build_scene(knobs: Knobs, plan: Plan) -> Scene:
    """Everything about a part that does not depend on the pictures' size."""
    seed, index, manual = knobs.seed, plan.index, plan.transmission == "manual"
    style = int(manual and knobs.separates("geometry"))
    solid = COMPONENTS[plan.component](generator(seed, "shape", index), style)
    finish = finish_for(manual and knobs.separates("finish"), generator(seed, "finish", index))
    workshop = manual and knobs.separates("light")
    first = int(generator(seed, "acquisition", index).integers(2))
    views = []
    for number in range(knobs.views):
        camera = camera_for(number, solid.lying, generator(seed, "camera", index, number))
        acquisition = ACQUISITIONS[(first + number + number // 2) % 2]
        light = lighting_for(acquisition, workshop, camera, generator(seed, "light", index, number))
        seen = look(solid, camera, *pixels(REFERENCE_SIZE), REFERENCE_SIZE)
        views.append(View(camera, acquisition, light, seen))
    marks = _marks(knobs, plan, solid, views)
    defect = _defect(knobs, plan, solid, views) if plan.defect else None
    return Scene(solid, finish, tuple(views), (*marks, *([defect] if defect else [])), defect)


def mask(scene: Scene, view: View, mark: Mark, grid: int) -> Tensor:
    """Pixels of a grid x grid picture, (grid, grid) bool, of which the mark covers at least half."""
    out = torch.zeros(grid, grid, dtype=torch.bool)
    close = near_pixels(view, [mark], grid)
    rows, columns = (close // grid).float(), (close % grid).float()
    surface = look(
        scene.solid,
        view.camera,
        torch.cat([rows + dy for dy, _ in OFFSETS]),
        torch.cat([columns + dx for _, dx in OFFSETS]),
        grid,
    )
    count = torch.zeros(len(OFFSETS) * len(close))
    count[surface.index[covered(mark, surface)]] = 1.0
    out.view(-1)[close] = count.view(len(OFFSETS), -1).sum(0) >= 2
    return out


def near_pixels(view: View, marks: Sequence[Mark], grid: int) -> Tensor:
    """Positions of the pixels of a grid x grid picture in which one of the marks may show."""
    found = torch.zeros(REFERENCE_SIZE * REFERENCE_SIZE)
    for mark in marks:
        found[view.seen.index[mark.near(view.seen)]] = 1.0
    wide = torch.nn.functional.max_pool2d(found.view(1, 1, REFERENCE_SIZE, REFERENCE_SIZE), 3, 1, 1)
    if grid != REFERENCE_SIZE:
        wide = torch.nn.functional.interpolate(wide, size=(grid, grid), mode="nearest")
    return torch.nonzero(wide.view(-1)).squeeze(1)


def _marks(knobs: Knobs, plan: Plan, solid: Solid, views: Sequence[View]) -> list[Mark]:
    seed, index = knobs.seed, plan.index
    wanted: list[tuple[str, float, int | None]] = [(kind, severity, None) for kind, severity in plan.slight]
    draw = generator(seed, "harmless", index)
    wanted += [(HARMLESS[int(draw.integers(len(HARMLESS)))], 0.0, None) for _ in range(int(draw.integers(1, 4)))]
    if plan.dot:  # one on each side of the part, so that most views show one
        wanted += [("dot", 0.0, 0), ("dot", 0.0, 1)]
    marks = []
    for number, (kind, severity, side) in enumerate(wanted):
        draw = generator(seed, "mark", index, number)
        view = views[int(draw.integers(len(views)))] if side is None else views[side]
        marks.append(mark_at(kind, severity, *_place(solid, view, kind, draw.uniform()), draw))
    return marks


def _defect(knobs: Knobs, plan: Plan, solid: Solid, views: Sequence[View]) -> Mark:
    bare = Scene(solid, finish_for(False, generator(0)), tuple(views), (), None)
    for attempt in range(_ATTEMPTS):
        draw = generator(knobs.seed, "place", plan.index, attempt)
        view = views[int(draw.integers(len(views)))]
        mark = mark_at(plan.defect, plan.severity, *_place(solid, view, plan.defect, draw.uniform()), draw)
        if int(mask(bare, view, mark, REFERENCE_SIZE).sum()) >= REFERENCE_PIXELS:
            return mark
    raise RuntimeError(
        f"part {plan.index}: no place found where its {plan.defect} shows; report this seed ({knobs.seed})"
    )


def _place(solid: Solid, view: View, kind: str, chance: float) -> tuple[Vector, Vector]:
    # a point in sight, not in a dark corner; for notches, on an edge that stands out
    seen = view.seen
    fit = (dot(seen.sight, seen.normal) > 0.5) & (openness(solid.distance, seen) > 0.55)
    if kind == "notch":
        (x, y, z), (nx, ny, nz), step = seen.point, seen.normal, 1.2
        inward = solid.distance(x - step * nx, y - step * ny, z - step * nz) * (-1 / step)
        edge = fit & (inward < 0.6)
        fit = edge if bool(edge.any()) else fit
    index = torch.nonzero(fit).squeeze(1)
    chosen = index[min(int(chance * len(index)), len(index) - 1)]
    px, py, pz = (float(axis[chosen]) for axis in seen.point)
    nx_, ny_, nz_ = (float(axis[chosen]) for axis in seen.normal)
    return (px, py, pz), (nx_, ny_, nz_)
