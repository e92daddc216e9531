"""Hand-worked cases: groups, official roles that cross, time, and reasons to skip."""

from __future__ import annotations

import pandas as pd
import pytest

from reshift.splits.chronological import Chronological
from reshift.splits.groups import with_groups
from reshift.splits.official import Official
from reshift.splits.protocol import Skip
from reshift.splits.samples import validate_table
from reshift.splits.unseen_component import UnseenComponent
from reshift.splits.unseen_defect import UnseenDefect
from reshift.splits.verify import verify


def ten_parts(**columns: list[str]) -> pd.DataFrame:
    """Parts a to j, one image each, every second one defective."""
    table = pd.DataFrame(
        {"sample": [f"{p}.png" for p in "abcdefghij"], "label": [0, 1] * 5, "part": list("abcdefghij")}
    )
    return validate_table(table.assign(**columns), "ten parts")


def test_parts_with_a_common_picture_are_one_group_also_in_a_chain() -> None:
    grouped = with_groups(ten_parts(content=["x", "y", "x", "", "", "z", "q", "z", "y", "v"]))
    assert "".join(grouped["group"]) == "abadefgfbj"
    chain = pd.DataFrame({"sample": ["1", "2", "3", "4"], "label": 0, "part": list("cbba"), "content": list("xxyy")})
    assert set(with_groups(validate_table(chain, "chain"))["group"]) == {"a"}


def test_a_picture_shared_by_two_components_trains_for_neither() -> None:
    component = ["gear", "gear", "gear", "gear", "gear", "gear", "ring", "ring", "ring", "ring"]
    content = ["same", *"bcdef", "same", *"hij"]
    splits = {s.name: s for s in UnseenComponent(val=0.4).splits(ten_parts(component=component, content=content), 0)}
    ring = splits["component=ring"]
    assert ring.test == ("g.png", "h.png", "i.png", "j.png")
    assert "a.png" not in (*ring.train, *ring.val, *ring.test) and ring.dropped == 1


def test_official_roles_that_share_a_part_are_declared() -> None:
    role = ["train"] * 4 + ["val"] * 2 + ["test"] * 4
    (clean,) = Official().splits(ten_parts(official_split=role), 0)
    assert (clean.breaks, len(clean.train), len(clean.val)) == ((), 4, 2)
    table = ten_parts(official_split=role, content=list("abcdefghij"))
    table.loc[9, "part"], table.loc[9, "content"] = "a", "b"
    (crossing,) = Official().splits(table, 0)
    assert crossing.breaks == ("parts", "content")
    verify(crossing, table)


def test_official_gives_up_training_parts_where_validation_is_missing() -> None:
    (split,) = Official().splits(ten_parts(official_split=["train"] * 6 + ["test"] * 4), 0)
    assert (len(split.train), len(split.val), len(split.test)) == (4, 2, 4)


@pytest.mark.parametrize("times", [[str(n) for n in range(10)], [f"2025-11-{n + 10}" for n in range(10)]])
def test_chronological_drops_parts_on_both_sides_and_of_unknown_time(times: list[str]) -> None:
    table = ten_parts(time=times)
    table.loc[9, "part"] = "a"  # times 0 and 9: straddles the moment
    table.loc[1, "time"] = ""
    (split,) = Chronological(past=0.6, val=0.3).splits(table, 0)
    assert sorted((*split.train, *split.val)) == ["c.png", "d.png", "e.png", "f.png"]
    assert split.test == ("g.png", "h.png", "i.png") and split.dropped == 3


def test_times_that_cannot_be_compared_skip() -> None:
    with pytest.raises(Skip, match="'noon', neither a number nor an ISO date"):
        list(Chronological().splits(ten_parts(time=["2025-11-10"] * 9 + ["noon"]), 0))


def test_a_value_that_is_not_there_skips_with_those_that_are() -> None:
    table = ten_parts(component=["gear"] * 5 + ["ring"] * 5)
    with pytest.raises(Skip, match=r"no value 'spline'; it has \['gear', 'ring'\]"):
        list(UnseenComponent(values=("spline",)).splits(table, 0))
    with pytest.raises(ValueError, match="in values and in always_train"):
        UnseenComponent(always_train=("gear",), values=("gear",))


def test_one_kind_of_defect_cannot_be_unseen() -> None:
    with pytest.raises(Skip, match="at least two kinds of defect"):
        list(UnseenDefect().splits(ten_parts(defect=["", "pit"] * 5), 0))


def test_a_component_of_one_class_is_left_out() -> None:
    component = ["gear", "ring"] * 5  # every ring is defective, every gear wheel good
    with pytest.raises(Skip, match="'component=ring' would test 5 parts, all defective"):
        list(UnseenComponent().splits(ten_parts(component=component), 0))
