"""Boards say how many tested pictures have a near-duplicate on the other side of a split."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from reshift.benchmark import near_duplicate_notes as module
from reshift.benchmark.near_duplicate_notes import near_duplicate_notes
from reshift.benchmark.preset import ProtocolSpec
from reshift.benchmark.world import Board, Place
from reshift.datamodules.dataset import Dataset
from reshift.splits.in_distribution import InDistribution
from reshift.splits.protocol import Split
from reshift.splits.samples import validate_table


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """40 pictures of 40 parts; p01 shows p00, and p03 shows p02, a little darker."""
    rows = []
    for part in range(40):
        draw = np.random.default_rng(part - 1 if part in (1, 3) else part)
        coarse = draw.uniform(30, 220, (6, 6)).astype(np.float32)
        picture = cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC).clip(5, 250)
        name = f"p{part:02d}.png"
        cv2.imwrite(str(tmp_path / name), (picture - (3 if part in (1, 3) else 0)).astype(np.uint8))
        rows.append((name, part % 2, f"p{part:02d}", name))
    table = pd.DataFrame(rows, columns=["sample", "label", "part", "content"])
    return Dataset("made", 1, tmp_path, validate_table(table, "made up"))


def place(dataset: Dataset, *splits: Split) -> Place:
    return Place(dataset, None, (Board("board", ProtocolSpec("in_distribution"), InDistribution, {}, splits),), ())


def named(*numbers: int) -> tuple[str, ...]:
    return tuple(f"p{n:02d}.png" for n in numbers)


def test_the_split_with_most_is_named(dataset: Dataset) -> None:
    one = Split("one", named(0, 4, 5), named(6, 7), named(1, 2, 3, 8))  # p01 looks like p00; p02 and p03 are together
    both = Split("both", named(0, 4), named(2, 6), named(1, 3, 8))  # p01 like training's p00, p03 like validation's p02
    (note,) = near_duplicate_notes(place(dataset, one, both))
    assert note.startswith("made: near-duplicates across roles")
    assert note.endswith("board, at most 2 of 3 test pictures of a split (both)")


def test_nothing_is_said_where_nothing_crosses(dataset: Dataset) -> None:
    apart = Split("apart", named(0, 1, 4), named(6, 7), named(2, 3, 8))
    assert list(near_duplicate_notes(place(dataset, apart))) == []


def test_a_large_set_is_left_to_check_data(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PICTURES", 39)
    (note,) = near_duplicate_notes(place(dataset, Split("one", named(0), named(2), named(1))))
    assert "not looked for among 40 pictures" in note
