"""What the verifier says in corners where a changed line once went unnoticed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from reshift.splits.protocol import Split
from reshift.splits.samples import validate_table
from reshift.splits.verify import SplitError, verify


def table(**columns: list[Any]) -> pd.DataFrame:
    """Ten parts of two views, the odd ones defective: `p0/0` to `p9/1`."""
    parts = [f"p{i // 2}" for i in range(20)]
    frame = {
        "sample": [f"{part}/{i % 2}" for i, part in enumerate(parts)],
        "label": [i // 2 % 2 for i in range(20)],
        "component": "gear",
        "defect": ["pit" if i // 2 % 2 else "" for i in range(20)],
        "part": parts,
    }
    return validate_table(pd.DataFrame({**frame, **columns}), "test")


def views(*parts: int) -> tuple[str, ...]:
    return tuple(f"p{part}/{view}" for part in parts for view in (0, 1))


SOUND = Split("sound", train=views(0, 1, 2, 3), val=views(4, 5), test=views(6, 7, 8, 9))


def complaint(split: Split, of: pd.DataFrame) -> str:
    with pytest.raises(SplitError) as caught:
        verify(split, of)
    return str(caught.value).removeprefix(f"split '{split.name}': ")


def test_a_sound_split_that_holds_nothing_out_passes() -> None:
    verify(SOUND, table())


def test_a_role_may_start_at_any_row_of_the_table() -> None:
    for first in range(4):
        others = [part for part in range(4) if part != first]
        verify(replace(SOUND, train=views(first), test=views(*others, 6, 7, 8, 9)), table())


def test_an_unsorted_role_is_named_before_an_unknown_sample_in_it() -> None:
    assert complaint(replace(SOUND, val=("p5/0", "p4/0", "x")), table()) == "val is not sorted"


def test_a_sorted_role_with_an_unknown_sample_is_told_that() -> None:
    found = complaint(replace(SOUND, val=("a", *views(4, 5))), table())
    assert found == "val names sample 'a', which the table does not have"


def test_parts_that_cross_by_declaration_pass_and_their_pictures_are_still_compared() -> None:
    torn = replace(SOUND, train=(*views(0, 1, 2), "p3/0"), test=("p3/1", *views(6, 7, 8, 9)))
    assert complaint(torn, table()) == "part 'p3' is in train and in test (1 such)"
    verify(replace(torn, breaks=("parts",)), table())
    alike = table(content=["same" if i in (0, 19) else f"c{i}" for i in range(20)])
    assert complaint(replace(torn, breaks=("parts",)), alike) == "content 'same' is in train and in test (1 such)"


def test_pictures_without_a_hash_are_not_alike() -> None:
    verify(SOUND, table(content=[""] * 20))


@pytest.mark.parametrize(
    ("tested", "said"), [((6, 8), "all 2 test parts are good"), ((7,), "all 1 test parts are defective")]
)
def test_a_test_of_one_class_says_which(tested: tuple[int, ...], said: str) -> None:
    assert complaint(replace(SOUND, test=views(*tested), dropped=8 - 2 * len(tested)), table()) == said


def test_parts_that_are_tested_by_one_view_count() -> None:
    verify(replace(SOUND, test=("p6/0", "p7/1"), dropped=6), table())


def test_the_last_part_of_the_table_counts() -> None:
    verify(replace(SOUND, test=views(8, 9), dropped=4), table())


SEQUENCES = {"sequence": [f"s{i // 4}" for i in range(20)], "time": [str(i % 4) for i in range(20)]}
"""Two parts a sequence: s0 to s4."""
WHOLE = replace(SOUND, breaks=("classes",), train=views(0, 1), val=views(2, 3), test=views(4, 5), dropped=8)


def test_whole_sequences_may_test_one_class() -> None:
    one_class = table(**SEQUENCES, label=[0] * 16 + [1] * 4, defect=[""] * 16 + ["pit"] * 4)
    verify(WHOLE, one_class)
    assert complaint(replace(WHOLE, breaks=()), one_class) == "all 2 test parts are good"


def test_a_torn_sequence_is_named_with_both_roles() -> None:
    torn = replace(WHOLE, train=views(0), val=views(1, 2, 3))
    assert complaint(torn, table(**SEQUENCES)) == "sequence 's0' is in train and in val"
    torn = replace(WHOLE, test=views(4), calibration=views(5))
    assert complaint(torn, table(**SEQUENCES)) == "sequence 's2' is in calibration and in test"


def test_a_sample_outside_any_sequence_is_named() -> None:
    said = "breaks 'classes', but sample 'p0/0' in train belongs to no sequence"
    assert complaint(WHOLE, table()) == said
    some = {**SEQUENCES, "sequence": ["", "", *SEQUENCES["sequence"][2:]]}
    assert complaint(WHOLE, table(**some)) == said
