"""What one split has on both sides: parts, identical pictures, and pictures that are nearly alike."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import pandas as pd

from reshift.splits.protocol import Split
from reshift.splits.verify import ROLES

Kind = Literal["part", "content", "near-duplicate"]

_CALLED: dict[Kind, str] = {
    "part": "parts",
    "content": "identical pictures",
    "near-duplicate": "near-duplicate pairs",
}
_INVARIANT: dict[Kind, str] = {"part": "parts", "content": "content", "near-duplicate": "parts"}
_NAMED = 3


@dataclass(frozen=True)
class Leak:
    """One thing that several roles share.

    Attributes:
        name: the part, the content hash, or the two pictures joined by " ~ ".
        roles: where it is, in the order train, val, calibration, test.
        samples: its pictures in those roles, sorted.
    """

    kind: Kind
    name: str
    roles: tuple[str, ...]
    samples: tuple[str, ...]


def find_leaks(split: Split, table: pd.DataFrame, near: Collection[tuple[str, str]] = ()) -> list[Leak]:
    """Everything that crosses the roles of a split, declared in `breaks` or not: parts, contents, then near-duplicates.

    Args:
        table: validated; without a column `content` identical pictures are not looked for.
        near: pairs of samples that look nearly alike. A pair within one part or of one content is that leak already
            and is not listed again; pairs with a sample that has no role leak nothing.
    """
    role_of = {sample: role for role in ROLES for sample in getattr(split, role)}
    rows = table.assign(role=table["sample"].map(role_of)).dropna(subset="role")
    leaks: list[Leak] = []
    for column in ("part", "content"):
        if column in rows:
            leaks += _shared(rows, column)
    known = {
        column: dict(zip(rows["sample"], rows[column], strict=True)) for column in ("part", "content") if column in rows
    }
    for one, other in sorted({(min(pair), max(pair)) for pair in near}):
        roles = {role_of.get(one), role_of.get(other)} - {None}
        if len(roles) == 2 and not any(value[one] == value[other] != "" for value in known.values()):
            leaks.append(Leak("near-duplicate", f"{one} ~ {other}", _in_order(roles), (one, other)))
    return leaks


def leak_lines(split: Split, leaks: Collection[Leak]) -> list[str]:
    """What crosses, kind by kind with counts for each two roles, and how many test pictures it touches.

    A line starts with "WARNING: " unless the split declares in `breaks` that parts or contents cross.
    """
    if not leaks:
        return ["leaks: no part, identical picture or near-duplicate is in two roles"]
    lines = []
    for kind, called in _CALLED.items():
        found = [leak for leak in leaks if leak.kind == kind]
        if not found:
            continue
        counts = []
        for one, other in combinations(ROLES, 2):
            crossing = sum(one in leak.roles and other in leak.roles for leak in found)
            if crossing:
                counts.append(f"{crossing} between {one} and {other}")
        tested = {sample for leak in found for sample in leak.samples} & set(split.test)
        named = ", ".join(leak.name for leak in found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
        text = (
            f"leaks: {len(found)} {called} cross: {', '.join(counts)}; they hold {len(tested)} of "
            f"{len(split.test)} test pictures ({named})"
        )
        lines.append(f"{text} [declared]" if _INVARIANT[kind] in split.breaks else f"WARNING: {text}")
    return lines


def _shared(rows: pd.DataFrame, column: Literal["part", "content"]) -> Iterator[Leak]:
    spread = rows[rows[column] != ""].groupby(column, sort=True)["role"].nunique()
    crossing = rows[rows[column].isin(list(spread.index[spread > 1]))]
    for name, group in crossing.groupby(column, sort=True):
        yield Leak(column, str(name), _in_order(set(group["role"])), tuple(sorted(map(str, group["sample"]))))


def _in_order(roles: Collection[str | None]) -> tuple[str, ...]:
    return tuple(role for role in ROLES if role in roles)
