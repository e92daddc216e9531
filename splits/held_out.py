"""Held-out values: which values of a column a protocol may hold out, and the split that does it for whole parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from reshift.splits.drawing import draw_share
from reshift.splits.groups import group_frame, groups_in, samples_of, with_groups
from reshift.splits.matched_control import half_controls
from reshift.splits.protocol import Skip, Split
from reshift.splits.roles import build_split


def choose_values(column: str, found: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """The wanted values (None: all of them) among those found, sorted, without "".

    Raises:
        Skip: a wanted value is not in the column.
    """
    known = sorted(set(found) - {""})
    missing = sorted(set(wanted or ()) - set(known))
    if missing:
        raise Skip(f"column '{column}' has no value {missing[0]!r}; it has {known}")
    return known if wanted is None else sorted(set(wanted))


def hold_out_parts(table: pd.DataFrame, column: str, values: list[str], seed: int, val: float) -> Iterator[Split]:
    """Per value the shifted split `<column>=<value>` and its controls; the column is one value a part.

    Test is every part of the value. A group that joins parts of two values through an identical picture carries both
    and trains for neither. Groups with an unknown value ("") may show the held-out one, so they have no role.
    """
    grouped = with_groups(table)
    unknown = groups_in(grouped[grouped[column] == ""])
    for value in values:
        held = grouped[grouped[column] == value]
        rest = grouped[~grouped["group"].isin(list(groups_in(held) | unknown))]
        frame = group_frame(rest)
        validating = draw_share(frame, val, seed, f"val/{column}={value}")
        shifted = build_split(
            grouped,
            f"{column}={value}",
            train=samples_of(rest, set(frame.index) - validating),
            val=samples_of(rest, validating),
            test=held["sample"],
            held_out=(column, value),
        )
        yield shifted
        yield from half_controls(shifted, grouped, held, seed)
