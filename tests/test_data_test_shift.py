"""Disturbed test pictures: stronger by severity, the same every time, and nothing but the test sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from reshift.datamodules.feature_cache import FrozenFeatures
from reshift.datamodules.image_cache import CachedImages, cached_images
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.manifest import Manifest
from reshift.datamodules.test_shift import disturbed, shift_transform
from reshift.splits import test_time_shift as protocol
from reshift.splits.verify import verify


@pytest.fixture
def table(parts_manifest: Path) -> pd.DataFrame:
    return Manifest(parts_manifest).read().table


@pytest.fixture
def images(parts_manifest: Path) -> CachedImages:
    return cached_images(Manifest(parts_manifest).read(), 128)


@pytest.mark.parametrize("kind", protocol.KINDS)
def test_pictures_change_more_with_every_severity(images: CachedImages, kind: str) -> None:
    rows = np.arange(24)
    before = images.pixels[rows].astype(int)
    change = [
        float(np.abs(disturbed(images, rows, (kind, severity)).pixels.astype(int) - before).mean())
        for severity in protocol.SEVERITIES
    ]
    assert change[0] > 0 and change == sorted(change)


@pytest.mark.parametrize("kind", protocol.KINDS)
def test_a_picture_is_disturbed_alike_whatever_stands_beside_it(images: CachedImages, kind: str) -> None:
    many = disturbed(images, np.arange(10), (kind, 3))
    few = disturbed(images, np.array([7, 2]), (kind, 3))
    assert (few.pixels == many.pixels[[7, 2]]).all() and few.contents == (many.contents[7], many.contents[2])
    assert few.key != many.key != disturbed(images, np.arange(10), (kind, 4)).key


def test_lighting_goes_both_ways(images: CachedImages) -> None:
    rows = np.arange(24)
    gain = disturbed(images, rows, ("lighting", 4)).pixels.mean((1, 2, 3)) / images.pixels[rows].mean((1, 2, 3))
    assert (gain < 0.6).any() and (gain > 1.5).any()


def test_an_unknown_disturbance_is_refused() -> None:
    with pytest.raises(ValueError, match="no disturbance 'fog'"):
        shift_transform("fog", 1, 32)
    with pytest.raises(ValueError, match="kinds=\\['fog'\\]: choose some of blur"):
        protocol.TestTimeShift(kinds=("fog",))
    with pytest.raises(ValueError, match="severities=\\[6\\]: choose some of 1, 2"):
        protocol.TestTimeShift(severities=(6,))


def test_the_splits_of_a_fold_differ_in_the_disturbance_only(table: pd.DataFrame) -> None:
    clean, *shifted = protocol.TestTimeShift(kinds=("blur", "pose"), severities=(1, 5)).splits(table, 0)
    assert clean.test_shift is None and [s.test_shift for s in shifted] == [
        ("blur", 1), ("blur", 5), ("pose", 1), ("pose", 5),
    ]  # fmt: skip
    for split in shifted:
        verify(split, table)
        assert (split.train, split.val, split.test) == (clean.train, clean.val, clean.test)
    assert len({s.digest for s in (clean, *shifted)}) == 5


class Mean(nn.Module):
    """Mean colour of a picture, (B, 3)."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.mean((2, 3))


@pytest.mark.parametrize("views", ["one", "all"])
def test_only_test_scoring_is_disturbed_as_images_and_as_features(parts_manifest: Path, views: Any) -> None:
    dataset = Manifest(parts_manifest).read()
    clean, dark = protocol.TestTimeShift(kinds=("lighting",), severities=(5,)).splits(dataset.table, 0)
    frozen = FrozenFeatures(Mean(), "mean colour", torch.device("cpu"))

    def seen(split: Any, role: Any, features: FrozenFeatures | None) -> torch.Tensor:
        data = InspectionData(dataset, split, size=32, views=views, features=features)
        batches = list(data.score_loader(role))
        values = torch.cat([batch["image" if features is None else "feature"] for batch in batches])
        return values if features is not None else values.mean((-2, -1))

    for features in (None, frozen):
        for role in ("train", "val"):
            assert (seen(clean, role, features) == seen(dark, role, features)).all()
        before, after = seen(clean, "test", features), seen(dark, "test", features)
        assert before.shape == after.shape and ((before - after).abs().amax(-1) > 0.05).all()
    assert torch.allclose(seen(dark, "test", None), seen(dark, "test", frozen), atol=1e-5)
