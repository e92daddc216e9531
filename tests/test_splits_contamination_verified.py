"""Contamination with verified parts: nothing else moves, and the parts set aside are good, whole and untouched."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd
import pytest

from reshift.splits.contamination import Contamination
from reshift.splits.contamination_verified import ContaminationVerified
from reshift.splits.protocol import Protocol, Skip, Split, collect_splits
from reshift.splits.samples import validate_table
from reshift.splits.verify import SplitError, verify

RATES = (0.0, 0.2, 0.5)
ARGUMENTS: list[dict[str, Any]] = [
    {"rates": RATES, "repeats": 2, "max_good": 60, "allow_subsample": True},
    {"rates": RATES, "repeats": 3, "max_good": 40, "unit": "view", "allow_subsample": True},
    {"rates": (0.2,), "test": 0.4, "val": 0.3, "observed": 0.3, "max_good": 30},
]
NAMES = ["parts", "views", "one rate"]


def parts_table(good: int = 150, defective: int = 60) -> pd.DataFrame:
    """Parts of one to four views; a defective one looks good in each third view; some good parts share a picture."""
    rows = []
    for part in range(good + defective):
        bad = part >= good
        for view in range(1 + part % 4):
            shared = not bad and view == 0 and part % 10 < 2  # parts 0 and 1, 10 and 11, ...
            content = f"twin{part // 10}" if shared else f"{part}/{view}"
            rows.append((f"p{part:03d}/{view}.png", int(bad and view % 3 < 2), f"p{part:03d}", content))
    return validate_table(pd.DataFrame(rows, columns=["sample", "label", "part", "content"]), "parts")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return parts_table()


def found(protocol: Protocol, table: pd.DataFrame, seed: int = 0) -> list[Split]:
    splits, reason = collect_splits(protocol, table, seed)
    assert splits and not reason, reason
    return splits


def repeat_of(split: Split) -> str:
    return split.name.partition("/")[2]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_everything_but_the_verified_parts_is_that_of_contamination(
    arguments: dict[str, Any], seed: int, table: pd.DataFrame
) -> None:
    plain = found(Contamination(**arguments), table, seed)
    verified = found(ContaminationVerified(verified=30, **arguments), table, seed)
    assert len(plain) == len(arguments["rates"]) * arguments.get("repeats", 1)
    assert [split.name for split in verified] == [split.name for split in plain]
    for ours, theirs in zip(verified, plain, strict=True):
        assert (ours.train, ours.val, ours.test) == (theirs.train, theirs.val, theirs.test)
        assert ours.observed_labels(table).equals(theirs.observed_labels(table))
        assert replace(ours, calibration=(), dropped=theirs.dropped) == theirs
        assert not theirs.calibration and ours.calibration and ours.digest != theirs.digest


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=NAMES)
def test_verified_parts_are_good_whole_and_in_no_role_at_any_rate_of_the_repeat(
    arguments: dict[str, Any], table: pd.DataFrame
) -> None:
    rows = list(zip(table["sample"], table["label"], table["part"], table["content"], strict=True))
    for seed in range(3):
        used: dict[str, set[str]] = defaultdict(set)
        splits = found(ContaminationVerified(verified=30, **arguments), table, seed)
        for split in splits:
            used[repeat_of(split)] |= {*split.train, *split.val, *split.test}
        for split in splits:
            verify(split, table)
            aside = set(split.calibration)
            assert list(split.calibration) == sorted(aside)
            parts = {part for sample, _, part, _ in rows if sample in aside}
            contents = {content for sample, _, _, content in rows if sample in aside}
            assert all(label == 0 for _, label, part, _ in rows if part in parts)
            assert aside == {sample for sample, _, part, content in rows if part in parts or content in contents}
            elsewhere = used[repeat_of(split)]
            assert not {sample for sample, _, part, _ in rows if part in parts} & elsewhere
            assert not {sample for sample, _, _, content in rows if content in contents} & elsewhere
            assert not aside & set(split.train_labels)


def left_over(splits: list[Split], repeat: str, table: pd.DataFrame) -> set[str]:
    """Images of good parts that no split of the repeat uses, nor a part with an identical picture."""
    used = {s for split in splits if repeat_of(split) == repeat for s in (*split.train, *split.val, *split.test)}
    bad = set(table.loc[table["label"] == 1, "part"])
    gone = set(table.loc[table["sample"].isin(list(used)), "part"]) | bad
    # Pictures are shared by pairs of parts, so that one step finds all of them.
    contents = set(table.loc[table["part"].isin(list(gone)), "content"])
    gone |= set(table.loc[table["content"].isin(list(contents)), "part"])
    return set(table.loc[~table["part"].isin(list(gone)), "sample"])


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=NAMES)
def test_they_are_the_same_at_every_rate_and_drawn_anew_for_each_repeat_and_seed(
    arguments: dict[str, Any], table: pd.DataFrame
) -> None:
    drawn: list[tuple[set[str], set[str]]] = []
    for seed in (0, 1):
        splits = found(ContaminationVerified(verified=20, **arguments), table, seed)
        for repeat in sorted({repeat_of(split) for split in splits}):
            (kept,) = {split.calibration for split in splits if repeat_of(split) == repeat}
            drawn.append((set(kept), left_over(splits, repeat, table)))
    assert len(drawn) == 2 * arguments.get("repeats", 1)
    for (one, left), (other, right) in combinations(drawn, 2):
        # One order for both would take nested sets from what is left in both.
        common = left & right
        assert not one & common <= other and not other & common <= one


@pytest.mark.parametrize("wanted", [1, 7, 30, 60, 10_000])
def test_at_least_as_many_images_as_asked_for_or_all_that_are_left(wanted: int, table: pd.DataFrame) -> None:
    arguments = ARGUMENTS[0]
    splits = found(ContaminationVerified(verified=wanted, **arguments), table)
    largest = 4 + 3  # of a group: two parts that share a picture have at most 1 + 2 views, one alone at most 4
    for split in splits:
        left = left_over(splits, repeat_of(split), table)
        assert set(split.calibration) <= left
        if wanted > len(left):
            assert wanted == 10_000 and set(split.calibration) == left
        else:
            assert wanted <= len(split.calibration) < wanted + largest


def test_more_verified_parts_hold_those_of_fewer(table: pd.DataFrame) -> None:
    few, many = (found(ContaminationVerified(verified=n, **ARGUMENTS[0]), table) for n in (10, 40))
    for fewer, more in zip(few, many, strict=True):
        assert set(fewer.calibration) < set(more.calibration)


def test_dropped_are_the_images_without_a_role(table: pd.DataFrame) -> None:
    for split in found(ContaminationVerified(verified=30, **ARGUMENTS[0]), table):
        roles = {*split.train, *split.val, *split.test, *split.calibration}
        assert split.dropped == sum(sample not in roles for sample in table["sample"]) > 0
    plain, verified = (
        found(protocol, table)[0]
        for protocol in (Contamination(**ARGUMENTS[0]), ContaminationVerified(verified=30, **ARGUMENTS[0]))
    )
    assert plain.dropped - verified.dropped == len(verified.calibration) >= 30


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=NAMES)
def test_row_order_does_not_matter(arguments: dict[str, Any], table: pd.DataFrame) -> None:
    protocol = ContaminationVerified(verified=30, **arguments)
    for state in (1, 2):
        shuffled = table.sample(frac=1, random_state=state).reset_index(drop=True)
        assert found(protocol, shuffled) == found(protocol, table)


def test_a_table_without_content_or_sibling_views_works() -> None:
    rows = {"sample": [f"{n:03d}.png" for n in range(120)], "label": [int(n % 4 == 0) for n in range(120)]}
    table = validate_table(pd.DataFrame(rows), "single images")
    # 90 good images: 27 are tested, 20 + 5 trained or validated on at rate 0.
    for split in found(ContaminationVerified(verified=12, rates=(0.0, 0.2), max_good=20), table):
        verify(split, table)
        assert len(split.calibration) == 12


def test_nothing_left_over_skips_before_any_split(table: pd.DataFrame) -> None:
    splits, reason = collect_splits(ContaminationVerified(rates=(0.0,)), table, 0)
    assert not splits
    assert reason == "contamination_verified: repeat=0 leaves no good part over to verify; set or lower max_good"
    assert "\n" not in reason


def test_rates_out_of_reach_are_refused_after_the_others_were_yielded(table: pd.DataFrame) -> None:
    # With 60 defective parts, 120 observed-good images cannot be half defective.
    arguments: dict[str, Any] = {"rates": (0.0, 0.2, 0.5), "max_good": 120, "test": 0.4}
    plain, expected = collect_splits(Contamination(**arguments), table, 0)
    splits, reason = collect_splits(ContaminationVerified(**arguments), table, 0)
    assert (
        [split.name for split in splits] == [split.name for split in plain] == ["rate=0/repeat=0", "rate=0.2/repeat=0"]
    )
    assert reason == expected.replace("contamination ", "contamination_verified ", 1) and "rate=0.5" in reason
    assert all(split.calibration for split in splits)


def test_a_table_that_cannot_be_contaminated_skips_as_contamination_does() -> None:
    table = parts_table(good=20, defective=0)
    with pytest.raises(Skip, match="contamination_verified has no usable split"):
        list(ContaminationVerified().splits(table, 0))


@pytest.mark.parametrize("verified", [0, -5])
def test_fewer_than_one_verified_image_is_refused(verified: int) -> None:
    with pytest.raises(ValueError, match=f"verified={verified} images: give at least 1"):
        ContaminationVerified(verified=verified)


def test_the_arguments_of_contamination_are_checked_as_there() -> None:
    for wrong in ({"rates": (0.6,)}, {"unit": "pixel"}, {"test": 1.0}):
        with pytest.raises(ValueError) as theirs:
            Contamination(**wrong)
        with pytest.raises(ValueError) as ours:
            ContaminationVerified(**wrong)
        assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("other", ["train", "val", "test"])
def test_the_verifier_sees_a_verified_part_elsewhere_and_a_wrong_label_on_it(other: str, table: pd.DataFrame) -> None:
    split = found(ContaminationVerified(verified=30, **ARGUMENTS[0]), table)[1]
    moved = next(sample for sample in split.calibration if sample.endswith("/1.png"))
    roles: dict[str, Any] = {
        "calibration": tuple(sample for sample in split.calibration if sample != moved),
        other: tuple(sorted((*getattr(split, other), moved))),
    }
    torn = replace(split, **roles)
    with pytest.raises(SplitError, match=r"part 'p\d+' is in .*calibration"):
        verify(torn, table)
    with pytest.raises(SplitError, match="which is in neither train nor val"):
        verify(replace(split, train_labels={**split.train_labels, moved: 1}), table)
    with pytest.raises(SplitError, match="samples are dropped"):
        verify(replace(split, dropped=split.dropped + len(split.calibration)), table)
