"""What near-duplicates say about the parts of a data set, for people."""

from __future__ import annotations

from reshift.datamodules.dataset import Dataset
from reshift.datamodules.near_duplicates import NearDuplicates

NAMED = 5


def near_duplicate_lines(dataset: Dataset, near: NearDuplicates) -> list[str]:
    """Report lines; "WARNING: " where pictures of different parts are alike and that means something.

    Named are the closest pictures of the first five pairs of parts.
    """
    parts = dataset.table["part"].nunique()
    measure = f"near-duplicates ({near.measure})"
    if not near.tells_parts_apart:
        told = " - or the pictures show few objects" if dataset.parts == "assumed" else ""
        return [
            f"{measure}: {near.alike} of {parts} parts look like another, {near.groups[0]} of them in one chain: "
            f"this measure cannot tell these pictures apart{told}, so it says nothing about leaks"
        ]
    if not near.pairs:
        return [f"{measure}: none between different parts; {near.within} pairs within parts, as expected"]
    label, part = (
        dict(zip(dataset.table["sample"], dataset.table[column], strict=True)) for column in ("label", "part")
    )
    closest: dict[frozenset[str], tuple[str, str]] = {}
    for one, other in near.pairs:
        closest.setdefault(frozenset((part[one], part[other])), (one, other))
    unlike = sum(label[one] != label[other] for one, other in near.pairs)
    groups = f"{len(near.groups)} groups of {near.groups[-1]} to {near.groups[0]}"
    if dataset.parts == "assumed":
        found = f"{near.alike} of {parts} pictures fall into {groups}, and each counts as its own part"
        remedy = "where a group shows one object, name it in a column 'part', or the object trains and tests"
    else:
        found = f"{near.alike} of {parts} parts fall into {groups}; {near.within} more pairs lie within parts"
        remedy = "where a group shows one object, give it one part name, or the object trains and tests"
    lines = [
        f"WARNING: {measure}: {len(near.pairs)} pairs of pictures across parts, {unlike} of them good with defective: "
        f"{found}; {remedy}"
    ]
    for one, other in list(closest.values())[:NAMED]:
        names = "" if dataset.parts == "assumed" else f" (parts {part[one]} and {part[other]})"
        lines.append(f"WARNING: alike: {one} and {other}{names}")
    if len(closest) > NAMED:
        lines.append(f"WARNING: alike: pictures of {len(closest) - NAMED} more pairs of parts")
    return lines
