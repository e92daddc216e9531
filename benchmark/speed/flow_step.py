"""What one optimiser step of DifferNet costs on cached features, against a step with the network inside."""

from __future__ import annotations

import copy
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from reshift.benchmark.cell_data import cell_data
from reshift.benchmark.preset import Precision, Preset, load_preset
from reshift.benchmark.speed.measurement import Measurement, side_by_side
from reshift.benchmark.speed.reference_flow import ReferenceFlow
from reshift.benchmark.training import PhasedTraining
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.magnetic_tiles import MagneticTiles
from reshift.models.base import TrainingInfo
from reshift.models.differnet import DifferNet
from reshift.splits.protocol import Split
from reshift.splits.samples import GOOD

ROUNDS, OUR_STEPS, THEIR_STEPS = 5, 50, 2
PICTURES = {"Free": 48, "Blowhole": 1, "Break": 1, "Crack": 1, "Fray": 1, "Uneven": 1}
HEIGHT, WIDTH = 320, 352


def measure(
    scratch: Path, preset: Preset | None = None, our_steps: int = OUR_STEPS, rounds: int = ROUNDS
) -> Measurement:
    """A round is a phase of training through the suite, its start included, and a few steps of the plain loop.

    Args:
        preset: whose sizes and flow are measured, where not those of preset tiles.
    """
    preset = preset or load_preset("tiles")
    arguments = flow_arguments(preset)
    torch.manual_seed(0)
    model = DifferNet(**arguments)
    draw_tiles(scratch / "tiles", PICTURES)
    tiles = MagneticTiles(scratch / "tiles").read()
    good = tiles.table.loc[tiles.table["label"] == GOOD, "sample"]
    split = Split("good", train=tuple(good), val=(), test=())
    data = cell_data(model, tiles, split, preset.size, preset.batch_size, 0, torch.device("cpu"))
    plain = ReferenceFlow(model, tiles, split, preset.size, preset.batch_size)
    ours, half = OurSteps(model, data, our_steps, "fp32"), OurSteps(model, data, our_steps, "bf16")
    times = side_by_side(ours, lambda: plain.train(THEIR_STEPS), rounds)
    precision = side_by_side(half, ours, rounds)
    ours_s, theirs_s = statistics.median(times.ours) / our_steps, statistics.median(times.theirs) / THEIR_STEPS
    return Measurement(
        what="a DifferNet training step on cached features",
        against="a plain loop: network inside the step, gradients through it, log-determinant evaluated again",
        value=times.speedup * our_steps / THEIR_STEPS,
        unit="x",
        bound="at least",
        target=10,
        detail={
            "ours_step_s": ours_s,
            "theirs_step_s": theirs_s,
            "rounds": rounds,
            "theirs_kernel_share": kernel_share(lambda: plain.train(THEIR_STEPS)),
            "ours_bf16_x": precision.speedup,
            "features": model.flow.width,
            "hidden": arguments["hidden"],
            "images": preset.batch_size,
            "copies": model.train_copies,
            "side_px": preset.size,
        },
        note="sizes of preset tiles; filling the cache is counted in the noise study; theirs_kernel_share of the plain "
        "step is memory handed out anew by the kernel, which another allocator would save it",
    )


def kernel_share(call: Callable[[], object]) -> float:
    """Share of this process's computing time in a call that the kernel takes, for memory above all."""
    before = os.times()
    call()
    after = os.times()
    user, kernel = after.user - before.user, after.system - before.system
    return kernel / (user + kernel)


def flow_arguments(preset: Preset) -> dict[str, Any]:
    """What a preset gives its plain DifferNet, with a random start in place of the weights' file: the cost is equal."""
    return {**next(spec for spec in preset.models if spec.name == "differnet").args, "weights": "none"}


def draw_tiles(folder: Path, pictures: dict[str, int]) -> None:
    """Grey noise in the layout and about the size of the tiles, six exposures each, so many pictures a class."""
    draw = np.random.default_rng(0)
    for name, count in pictures.items():
        place = folder / f"MT_{name}" / "Imgs"
        place.mkdir(parents=True)
        for number in range(count):
            tile, exposure = divmod(number, 6)
            picture = draw.normal(110, 12, (HEIGHT, WIDTH)).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(place / f"exp{exposure + 1}_num_{1000 * tile + exposure}.jpg"), picture)


class OurSteps:
    """Trains a copy of `model` on through the suite, a phase of so many `steps` a call."""

    def __init__(self, model: DifferNet, data: InspectionData, steps: int, precision: Precision) -> None:
        self.data, self.steps = data, steps
        trained = copy.deepcopy(model)
        trained.prepare(TrainingInfo(steps, data.class_counts, data.n_groups, data.n_views, data.size))
        self.training = PhasedTraining(
            trained, None, every=steps, select_from=0, seed=0, device=torch.device("cpu"), precision=precision
        )

    def __call__(self) -> None:
        self.training.run(self.data.train_loader(None, self.training.progress.done, self.steps), self.steps)
