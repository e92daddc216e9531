"""Properties that every protocol keeps on random tables, checked by loops that share no code with the protocols."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reshift.splits.acquisition import Acquisition
from reshift.splits.chronological import Chronological
from reshift.splits.contamination import Contamination
from reshift.splits.in_distribution import InDistribution
from reshift.splits.label_flips import LabelFlips
from reshift.splits.official import Official
from reshift.splits.protocol import Protocol, Split, collect_splits
from reshift.splits.published_tiles import PublishedTiles
from reshift.splits.random_image import RandomImage
from reshift.splits.samples import validate_table
from reshift.splits.unseen_component import UnseenComponent
from reshift.splits.unseen_defect import UnseenDefect
from reshift.splits.unseen_transmission import UnseenTransmission
from reshift.splits.verify import verify

PROTOCOLS: list[Protocol] = [
    InDistribution(folds=3, folds_used=2),
    RandomImage(folds=3, folds_used=1),
    Acquisition(),
    UnseenComponent(always_train=("gear",)),
    UnseenTransmission(),
    UnseenDefect(),
    Contamination(rates=(0.0, 0.2, 0.4)),
    Contamination(rates=(0.0, 0.2, 0.4), unit="view", allow_subsample=True),
    LabelFlips(rates=(0.0, 0.3), folds=3, folds_used=1),
    LabelFlips(rates=(0.0, 0.3), unit="image", folds=3, folds_used=1),
    Official(),
    PublishedTiles(),
    Chronological(past=0.6),
]
NAMES = [f"{protocol.name}-{getattr(protocol, 'unit', '')}" for protocol in PROTOCOLS]
few = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Parts of one to four views; some good views in defective parts, some pictures shared between parts."""
    defects = ("", "", "", "pit", "scratch", "notch")
    names = draw(st.sets(st.integers(0, 2**16), min_size=12, max_size=60))
    rich = draw(st.booleans())  # mostly small tables break protocols, mostly large ones let all of them work
    rows = []
    for name in [*names, *range(70_000, 70_050 if rich else 70_000)]:
        # Hypothesis prefers small numbers; scrambled, they make parts of every kind.
        dice = iter(hashlib.sha256(str(name).encode()).digest())
        defect, views = defects[next(dice) % 6], 1 + next(dice) % 4
        ring, line, row, time, named = (next(dice) for _ in range(5))
        for view in range(views):
            bad = defect != "" and (view == 0 or next(dice) % 2 == 0)
            shared = view == 0 and next(dice) % 16 == 0
            rows.append(
                {
                    "sample": f"p{name}/v{view}.png",
                    "label": int(bad),
                    "component": ("gear", "ring", "spline", "gear", "ring", "spline", "")[ring % 7],
                    "defect": defect if bad or named % 2 else "",
                    "transmission": ("E36", "Mini")[line % 2],
                    "acquisition": f"exp{view}",
                    "part": f"p{name}",
                    "time": str(time * 10 + view),
                    "official_split": ("train", "train", "test", "")[row % 4],
                    "content": f"shared{row % 3}" if shared else f"{name}-{view}",
                }
            )
    return validate_table(pd.DataFrame(rows), "random table")


def crossing(split: Split, value_of: dict[str, str]) -> set[str]:
    """Values that stand in more than one role."""
    roles = defaultdict(set)
    for role in ("train", "val", "test"):
        for sample in getattr(split, role):
            roles[value_of[sample]].add(role)
    return {value for value, found in roles.items() if len(found) > 1}


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)
@few
@given(table=tables(), seed=st.integers(0, 3))
def test_splits_pass_the_verifier_and_nothing_crosses(protocol: Protocol, table: pd.DataFrame, seed: int) -> None:
    part_of = dict(zip(table["sample"], table["part"], strict=True))
    content_of = dict(zip(table["sample"], table["content"], strict=True))
    splits, reason = collect_splits(protocol, table, seed)
    assert splits or reason
    assert len({split.name for split in splits}) == len(splits)
    for split in splits:
        verify(split, table)
        assert "parts" in split.breaks or not crossing(split, part_of)
        assert "content" in split.breaks or not crossing(split, content_of)
        assert set(split.train_labels) <= {*split.train, *split.val}
        assert len(split.train) + len(split.val) + len(split.test) + split.dropped == len(table)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=NAMES)
@settings(few, max_examples=5)
@given(table=tables(), order=st.randoms(use_true_random=False))
def test_row_order_does_not_matter(protocol: Protocol, table: pd.DataFrame, order: object) -> None:
    shuffled = table.sample(frac=1, random_state=order.randrange(1000)).reset_index(drop=True)  # type: ignore[attr-defined]
    first, second = (collect_splits(protocol, rows, 0) for rows in (table, shuffled))
    assert [(s.name, s.digest, s.dropped) for s in first[0]] == [(s.name, s.digest, s.dropped) for s in second[0]]
    assert first[1] == second[1]


@few
@given(table=tables())
def test_seed_zero_is_a_seed_of_its_own(table: pd.DataFrame) -> None:
    protocol = InDistribution(folds=2)
    digests = [{split.digest for split in collect_splits(protocol, table, seed)[0]} for seed in (0, 1)]
    assert not digests[0] or digests[0] != digests[1]


@few
@given(table=tables(), seed=st.integers(0, 3))
def test_held_out_values_never_train(table: pd.DataFrame, seed: int) -> None:
    rows = table.set_index("sample")
    for protocol in (UnseenComponent(), UnseenTransmission(), UnseenDefect(), Acquisition()):
        for split in collect_splits(protocol, table, seed)[0]:
            assert split.held_out is not None
            column, value = split.held_out
            carriers = set(table.loc[table[column] == value, "part"])
            seen = rows.loc[[*split.train, *split.val]]
            if not split.control_of:
                assert value not in set(seen[column])
                assert column == "acquisition" or not carriers & set(seen["part"])
            if column in ("component", "transmission"):
                assert carriers >= set(rows.loc[list(split.test), "part"])
                assert split.control_of or carriers == set(rows.loc[list(split.test), "part"])
            if column == "defect" and not split.control_of:
                assert carriers <= set(rows.loc[list(split.test), "part"])


def part_counts(rows: pd.DataFrame, samples: tuple[str, ...]) -> Counter[int]:
    """Number of parts of each label among the samples."""
    return Counter(rows.loc[list(samples)].groupby("part")["label"].max().tolist())


@few
@given(table=tables(), seed=st.integers(0, 3))
def test_controls_train_on_as_many_parts_and_divide_the_test(table: pd.DataFrame, seed: int) -> None:
    table = table.drop(columns="content")  # so that a group is a part, and counts are exact
    rows = table.set_index("sample")
    for protocol in (UnseenComponent(), UnseenTransmission(), UnseenDefect()):
        splits = {split.name: split for split in collect_splits(protocol, table, seed)[0]}
        for shifted in (split for split in splits.values() if not split.control_of):
            controls = [split for split in splits.values() if split.control_of == shifted.name]
            assert len(controls) in (0, 2)
            for control in controls:
                assert part_counts(rows, control.train) == part_counts(rows, shifted.train)
                assert control.val == shifted.val
                assert set(control.test) < set(shifted.test)
                assert set(shifted.test) & set(control.train)
            if controls:
                assert set(controls[0].test) | set(controls[1].test) == set(shifted.test)


@few
@given(table=tables(), seed=st.integers(0, 3))
def test_acquisition_control_swaps_samples_of_the_same_labels(table: pd.DataFrame, seed: int) -> None:
    rows = table.set_index("sample")
    splits = {split.name: split for split in collect_splits(Acquisition(), table, seed)[0]}
    for control in (split for split in splits.values() if split.control_of):
        shifted = splits[control.control_of]
        assert (control.val, control.test) == (shifted.val, shifted.test)
        assert Counter(rows.loc[list(control.train), "label"]) == Counter(rows.loc[list(shifted.train), "label"])
        joined = sorted(set(control.train) - set(shifted.train))
        assert joined and set(rows.loc[joined, "acquisition"]) == {control.held_out[1]}  # type: ignore[index]


@pytest.mark.parametrize("unit", ["part", "view"])
@pytest.mark.parametrize("subsample", [False, True])
@few
@given(table=tables(), seed=st.integers(0, 3))
def test_contamination_is_nested_at_constant_size(unit: str, subsample: bool, table: pd.DataFrame, seed: int) -> None:
    protocol = Contamination(rates=(0.0, 0.1, 0.3, 0.5), unit=unit, allow_subsample=subsample)  # type: ignore[arg-type]
    truth = dict(zip(table["sample"], table["label"], strict=True))
    part_of = dict(zip(table["sample"], table["part"], strict=True))
    splits, _ = collect_splits(protocol, table, seed)
    for lower, higher in pairwise(splits):
        assert lower.test == higher.test
        assert (len(lower.train), len(lower.val)) == (len(higher.train), len(higher.val))
        assert set(lower.train_labels) <= set(higher.train_labels)
        for role in ("train", "val"):
            kept = {s for s in getattr(higher, role) if truth[s] == 0 and s in lower.train + lower.val}
            assert {s for s in getattr(lower, role) if truth[s] == 1} <= set(getattr(higher, role))
            told = [
                {s for s in getattr(split, role) if truth[s] and s not in split.train_labels}
                for split in (lower, higher)
            ]
            assert told[0] == told[1]
            assert kept <= set(getattr(lower, role))
    for split in splits:
        assert not {part_of[s] for s in split.train_labels} & {part_of[s] for s in split.test}
        assert all(truth[sample] == 1 and label == 0 for sample, label in split.train_labels.items())


@few
@given(table=tables(), seed=st.integers(0, 3))
def test_single_view_contamination_meets_its_rate(table: pd.DataFrame, seed: int) -> None:
    truth = dict(zip(table["sample"], table["label"], strict=True))
    for split in collect_splits(Contamination(rates=(0.0, 0.25, 0.5), unit="view"), table, seed)[0]:
        for role in (split.train, split.val):
            passing = [truth[s] for s in role if split.train_labels.get(s, truth[s]) == 0]
            assert abs(sum(passing) - float(str(split.noise["rate"])) * len(passing)) <= 1


@few
@given(table=tables(), seed=st.integers(0, 3))
def test_image_flips_are_symmetric_nested_and_outside_test(table: pd.DataFrame, seed: int) -> None:
    truth = dict(zip(table["sample"], table["label"], strict=True))
    flips = LabelFlips(rates=(0.0, 0.2, 0.4), unit="image", folds=3, folds_used=1)
    splits, _ = collect_splits(flips, table, seed)
    for lower, higher in pairwise(splits):
        assert set(lower.train_labels) <= set(higher.train_labels)
        assert (lower.train, lower.val, lower.test) == (higher.train, higher.val, higher.test)
    for split in splits:
        for role in (split.train, split.val):
            for label in (0, 1):
                members = [s for s in role if truth[s] == label]
                flipped = sum(s in split.train_labels for s in members)
                assert abs(flipped - float(str(split.noise["rate"])) * len(members)) <= 1
