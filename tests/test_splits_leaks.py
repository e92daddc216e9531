"""Leaks are what a loop over all pairs of pictures finds, and limits are counted as by hand."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
import pytest

from reshift.results.statistics import MIN_PARTS
from reshift.results.thresholds import smallest_good_count
from reshift.splits.in_distribution import InDistribution
from reshift.splits.leaks import Leak, find_leaks, leak_lines
from reshift.splits.limits import INTERVAL_PARTS, THRESHOLD_GOOD, Sizes, split_sizes
from reshift.splits.protocol import Split, unit_hash
from reshift.splits.random_image import RandomImage
from reshift.splits.samples import validate_table


@pytest.fixture
def table() -> pd.DataFrame:
    """Forty parts of three views; five hold the same picture, and the contents of p30 are unknown."""
    rows = []
    for part in range(40):
        for view in range(3):
            content = "twin" if (part, view) in ((0, 0), (7, 1), (9, 2), (11, 0), (14, 1)) else f"{part}/{view}"
            rows.append((f"p{part:02d}/{view}.png", part % 2, f"p{part:02d}", content if part != 30 else ""))
    return validate_table(pd.DataFrame(rows, columns=["sample", "label", "part", "content"]), "test")


def pairs(table: pd.DataFrame) -> list[tuple[str, str]]:
    drawn = (pair for pair in combinations(table["sample"], 2) if unit_hash(0, *pair) < 0.01)
    return [pair if unit_hash(1, *pair) < 0.5 else pair[::-1] for pair in drawn]


def oracle(split: Split, table: pd.DataFrame, near: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Names of what crosses, by looking at every two pictures."""
    row = table.set_index("sample")
    role = {sample: name for name in ("train", "val", "test") for sample in getattr(split, name)}
    found: dict[str, set[str]] = {"part": set(), "content": set(), "near-duplicate": set()}
    for one, other in combinations(sorted(role), 2):
        if role[one] == role[other]:
            continue
        same = [column for column in ("part", "content") if row.loc[one, column] == row.loc[other, column] != ""]
        for column in same:
            found[column].add(str(row.loc[one, column]))
        if not same and ((one, other) in near or (other, one) in near):
            found["near-duplicate"].add(f"{one} ~ {other}")
    return found


@pytest.mark.parametrize("protocol", [RandomImage(folds=3), InDistribution(folds=3)], ids=lambda p: p.name)
def test_leaks_equal_those_of_a_loop(table: pd.DataFrame, protocol: RandomImage | InDistribution) -> None:
    near, contents = pairs(table), set()
    for split in protocol.splits(table, 0):
        leaks = find_leaks(split, table, near)
        found = {
            kind: {leak.name for leak in leaks if leak.kind == kind} for kind in ("part", "content", "near-duplicate")
        }
        assert found == oracle(split, table, near)
        assert len(leaks) == sum(map(len, found.values())), "nothing is listed twice"
        assert bool(found["part"]) == (protocol.name == "random_image")
        contents |= found["content"]
        assert len(found["near-duplicate"]) > 10
    assert contents == ({"twin"} if protocol.name == "random_image" else set())


def small(**change: tuple[str, ...]) -> Split:
    roles = {
        "train": ("p00/0.png", "p01/0.png", "p02/0.png"),
        "val": ("p03/0.png",),
        "test": ("p04/0.png", "p05/0.png"),
    }
    return Split("fold=0", **{**roles, **change})  # type: ignore[arg-type]


def test_a_leak_names_its_roles_and_pictures(table: pd.DataFrame) -> None:
    split = small(test=("p04/0.png", "p07/1.png"), val=("p00/1.png",), calibration=("p00/2.png",))
    near = [
        ("p04/0.png", "p01/0.png"),
        ("p01/0.png", "p04/0.png"),
        ("p02/0.png", "p39/0.png"),
        ("p01/0.png", "p02/0.png"),
    ]
    assert find_leaks(split, table, near) == [
        Leak("part", "p00", ("train", "val", "calibration"), ("p00/0.png", "p00/1.png", "p00/2.png")),
        Leak("content", "twin", ("train", "test"), ("p00/0.png", "p07/1.png")),
        Leak("near-duplicate", "p01/0.png ~ p04/0.png", ("train", "test"), ("p01/0.png", "p04/0.png")),
    ]


def test_lines_count_roles_and_touched_test_pictures(table: pd.DataFrame) -> None:
    near = [
        ("p00/0.png", "p04/0.png"),
        ("p01/0.png", "p04/0.png"),
        ("p02/0.png", "p03/0.png"),
        ("p03/0.png", "p05/0.png"),
    ]
    (line,) = leak_lines(small(), find_leaks(small(), table, near))
    assert line.startswith(
        "WARNING: leaks: 4 near-duplicate pairs cross: 1 between train and val, 2 between train and test, "
        "1 between val and test; they hold 2 of 2 test pictures (p00/0.png ~ p04/0.png, "
    )
    assert leak_lines(small(), []) == ["leaks: no part, identical picture or near-duplicate is in two roles"]


def test_declared_leaks_are_stated_without_a_warning(table: pd.DataFrame) -> None:
    split = small(test=("p00/1.png", "p07/1.png"), breaks=("parts",))
    lines = leak_lines(split, find_leaks(split, table, [("p01/0.png", "p07/1.png")]))
    assert [line.startswith("WARNING") for line in lines] == [False, True, False]
    assert lines[0] == (
        "leaks: 1 parts cross: 1 between train and test; they hold 1 of 2 test pictures (p00) [declared]"
    )


def test_a_table_without_contents_has_no_identical_pictures(table: pd.DataFrame) -> None:
    split = small(test=("p04/0.png", "p07/1.png"))
    assert [leak.kind for leak in find_leaks(split, table)] == ["content"]
    assert find_leaks(split, table.drop(columns="content")) == []


# What a split is too small for.


def test_limits_are_those_of_the_boards() -> None:
    assert INTERVAL_PARTS == MIN_PARTS and smallest_good_count() == THRESHOLD_GOOD


def test_sizes_count_parts_by_observed_labels(table: pd.DataFrame) -> None:
    def of(*parts: int) -> tuple[str, ...]:
        return tuple(sorted(f"p{part:02d}/{view}.png" for part in parts for view in range(3)))

    # Part 12 is observed defective in one view, part 13 observed good in two of three.
    labels = {"p12/1.png": 1, "p13/0.png": 0, "p13/1.png": 0}
    split = Split("fold=0", train=of(20, 21), val=of(10, 11, 12, 13), test=of(0, 1, 2), train_labels=labels)
    assert split_sizes(split, table) == Sizes(good=2, defective=1, val_good_parts=1, val_good_images=3 + 2 + 2)


@pytest.mark.parametrize(
    ("sizes", "short_of"),
    [
        (Sizes(10, 10, 19, 19), {}),
        (Sizes(9, 10, 19, 19), {"interval": "9 good, 10 defective"}),
        (Sizes(10, 9, 18, 19), {"interval": "10 good, 9 defective", "threshold": "18"}),
        (Sizes(10, 10, 18, 18), {"threshold": "18", "image threshold": "18"}),
    ],
)
def test_what_sizes_are_short_of(sizes: Sizes, short_of: dict[str, str]) -> None:
    assert sizes.short_of == short_of
