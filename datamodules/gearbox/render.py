"""Pictures of a scene: sampling, anti-aliasing, notches, shading, camera noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reshift.datamodules.gearbox.camera import pixels
from reshift.datamodules.gearbox.components import Solid
from reshift.datamodules.gearbox.knobs import REFERENCE_SIZE
from reshift.datamodules.gearbox.light import bench, shade
from reshift.datamodules.gearbox.marks import Mark
from reshift.datamodules.gearbox.paint import apply, covered
from reshift.datamodules.gearbox.scene import OFFSETS, Scene, View, near_pixels
from reshift.datamodules.gearbox.surface import Surface, dot, look, openness

SMOOTH = ("stain", "oil")  # marks without sharp edges: one sample a pixel is enough
_NOISE = 2.2  # standard deviation of the camera's noise, grey levels


def picture(scene: Scene, view: View, grid: int, marks: Sequence[Mark], draw: np.random.Generator) -> NDArray[np.uint8]:
    """The (grid, grid, 3) RGB picture of a view with the given marks of the scene.

    Args:
        marks: those of the scene's marks to show; leave the defect out for its counterfactual.
        draw: the camera's noise; the same generator state gives the same noise.
    """
    rows, columns = pixels(grid)
    seen = view.seen if grid == REFERENCE_SIZE else look(scene.solid, view.camera, rows, columns, grid)
    # every mark of the scene is sampled finely, shown or not, so that twins differ only where the mark is
    fine = _fine(seen, grid)
    fine[near_pixels(view, [mark for mark in scene.marks if mark.kind not in SMOOTH], grid)] = True
    coarse = seen.only(torch.nonzero(~fine[seen.index]).squeeze(1))
    colours = _shaded(scene, view, coarse, rows, columns, grid, marks)
    at = torch.nonzero(fine).squeeze(1)
    r, c = rows[at], columns[at]
    r4, c4 = torch.cat([r + dy for dy, _ in OFFSETS]), torch.cat([c + dx for _, dx in OFFSETS])
    samples = _shaded(scene, view, look(scene.solid, view.camera, r4, c4, grid), r4, c4, grid, marks)
    a, b, c_, d = samples.view(len(OFFSETS), -1, 3)
    colours[at] = (a + b + c_ + d) * 0.25
    return _developed(colours.view(grid, grid, 3).numpy(), draw)


def _shaded(
    scene: Scene, view: View, bare: Surface, rows: Tensor, columns: Tensor, grid: int, marks: Sequence[Mark]
) -> Tensor:
    colours = bench((rows + 0.5) / grid, (columns + 0.5) / grid, view.light)
    notches = [mark for mark in marks if mark.kind == "notch"]
    gone = torch.zeros(len(bare), dtype=torch.bool)
    for notch in notches:
        gone[covered(notch, bare)] = True
    parts = [(bare, scene.solid)]
    if bool(gone.any()):
        lost, carved = bare.index[gone], _carved(scene.solid, notches)
        behind = look(carved, view.camera, rows[lost], columns[lost], grid)
        parts = [
            (bare.only(torch.nonzero(~gone).squeeze(1)), scene.solid),
            (Surface(lost[behind.index], behind.point, behind.normal, behind.sight), carved),
        ]
        colours[lost] = bench((rows[lost] + 0.5) / grid, (columns[lost] + 0.5) / grid, view.light)
    for surface, solid in parts:
        skin = scene.finish.skin(surface)
        for mark in marks:
            apply(mark, surface, skin)
        free = openness(solid.distance, surface)
        colours[surface.index] = shade(surface, skin, free, view.camera, view.light)
    return colours


def _carved(solid: Solid, notches: Sequence[Mark]) -> Solid:
    def distance(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        out = solid.distance(x, y, z)
        for notch in notches:
            (cx, cy, cz), radius = notch.ball
            ball = ((x - cx) * (x - cx) + (y - cy) * (y - cy) + (z - cz) * (z - cz)).sqrt() - radius
            out = torch.maximum(out, -ball)
        return out

    return Solid(distance, solid.reach, solid.half_height, solid.lying)


def _fine(seen: Surface, grid: int) -> Tensor:
    # pixels at outlines, steps and sharp edges, where one sample would show stairs
    image = torch.full((4, grid * grid), 0.0)
    for row, values in enumerate(seen.normal):
        image[row, seen.index] = values * 2.5
    image[3, seen.index] = 60.0 + dot(seen.point, seen.sight) * 0.5
    image = image.view(4, grid, grid)
    fine = torch.zeros(grid, grid, dtype=torch.bool)
    down = (image[:, 1:] - image[:, :-1]).abs().amax(0) > 1.4
    right = (image[:, :, 1:] - image[:, :, :-1]).abs().amax(0) > 1.4
    fine[1:] |= down
    fine[:-1] |= down
    fine[:, 1:] |= right
    fine[:, :-1] |= right
    return fine.view(-1)


def _developed(linear: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.uint8]:
    exposed = linear.astype(np.float64)
    flat = np.sqrt(exposed / (exposed + 0.75) * 1.35)
    curve = flat + 0.6 * (flat * flat * (3 - 2 * flat) - flat)
    # the sum of four uniform draws: near a normal one, without a platform's logarithm
    noise = draw.random((4, *linear.shape), dtype=np.float64).sum(0) - 2.0
    levels = np.rint(curve * 255.0 + noise * (_NOISE * 1.7320508))
    return np.asarray(np.clip(levels, 0, 255), dtype=np.uint8)
