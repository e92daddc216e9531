"""Maps of models of whole parts: the view that shows the defect has the strongest one, and its place is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reshift.benchmark.deploy.scorers import TorchScorer
from reshift.datamodules.image_cache import CachedImages
from reshift.datamodules.rows import ABSENT
from reshift.models.base import InspectionModule, TrainingInfo
from reshift.models.floors import NumberOfViews
from reshift.models.multiview_classifier import MultiviewClassifier
from reshift.models.multiview_simclr import MultiviewSimCLR

SIDE, VIEWS = 56, 3
STEPS = 40
CPU = torch.device("cpu")


def dotted_parts(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Noise (n, V, SIDE, SIDE, 3), every second part with a dot of 7 pixels in one view: which view, and where."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 80, (n, VIEWS, SIDE, SIDE, 3), dtype=np.uint8)
    view, centre = draw.integers(0, VIEWS, n), draw.integers(6, SIDE - 6, (n, 2))
    for i in range(1, n, 2):
        row, column = centre[i]
        pixels[i, view[i], row - 3 : row + 4, column - 3 : column + 4] = 255
    return pixels, view, centre


def learned(model: InspectionModule) -> InspectionModule:
    """The model, knowing the dot."""
    model.prepare(TrainingInfo(STEPS, (1, 1), 1, VIEWS, SIDE))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    pixels, _, _ = dotted_parts(16 * 8, seed=1)
    image = torch.from_numpy(pixels).permute(0, 1, 4, 2, 3).float() / 255
    label = torch.arange(len(image)) % 2
    for step in range(STEPS):
        rows = torch.arange(16) + 16 * (step % 8)
        batch = {"image": image[rows], "label": label[rows], "weight": torch.ones(16), "index": rows}
        loss = model.training_step(batch | {"present": torch.ones(16, VIEWS, dtype=torch.bool)}, step)
        assert isinstance(loss, Tensor)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model


def cached(pixels: NDArray[np.uint8]) -> CachedImages:
    """All pictures of these parts, part by part."""
    flat = pixels.reshape(-1, SIDE, SIDE, 3)
    extent = np.full((len(flat), 2), SIDE, np.float32)
    return CachedImages("", tuple(map(str, range(len(flat)))), flat, extent)


NET: dict[str, Any] = {"backbone": "test_efficientnet", "weights": "none", "lr": 3e-3}


@pytest.mark.parametrize(
    "build",
    [
        lambda: MultiviewClassifier(fusion="mean", **NET),
        lambda: MultiviewClassifier(fusion="max", **NET),
        lambda: MultiviewClassifier(fusion="attention", **NET),
        lambda: MultiviewSimCLR(pretrain_share=0.0, **NET),
    ],
    ids=["mean", "max", "attention", "simclr"],
)
def test_the_view_with_the_defect_has_the_strongest_map_and_absent_views_none(
    build: Callable[[], InspectionModule],
) -> None:
    torch.manual_seed(0)
    scorer = TorchScorer(learned(build()), 16, CPU)
    pixels, view, centre = dotted_parts(64, seed=2)
    slots = np.arange(64 * VIEWS).reshape(64, VIEWS)
    maps = scorer.maps(cached(pixels), slots)
    assert maps is not None and maps.shape == (64, VIEWS, SIDE, SIDE) and maps.dtype == np.float32
    bad = np.arange(1, 64, 2)
    peaks = maps[bad].max(axis=(2, 3))
    # Guessing names one view of three.
    assert (peaks.argmax(axis=1) == view[bad]).mean() > 0.85
    shown = maps[bad, view[bad]].reshape(len(bad), -1).argmax(axis=1)
    distance = np.abs(np.stack([shown // SIDE, shown % SIDE], axis=1) - centre[bad]).max(axis=1)
    # A place drawn at random would be as near in 17 * 17 / 56^2 = 9 % of the pictures at most.
    assert (distance <= 8).mean() > 0.85
    fewer = slots.copy()
    fewer[:, 0] = ABSENT
    without = scorer.maps(cached(pixels), fewer)
    assert without is not None and not without[:, 0].any() and without[:, 1:].any()


def test_a_model_of_parts_that_looks_at_no_pixel_has_no_maps() -> None:
    pixels, _, _ = dotted_parts(2, seed=3)
    assert TorchScorer(NumberOfViews(), 2, CPU).maps(cached(pixels), np.arange(2 * VIEWS).reshape(2, VIEWS)) is None
