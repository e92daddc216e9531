"""Held-out values: which values of a column a protocol may hold out, and the split that does it for whole parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from reshift.splits.matched_control import half_controls
from reshift.splits.protocol import Skip, Split
from reshift.splits.roster import Roster


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
    roster = Roster.of(table)
    (unknown,) = roster.showing(column, [""])
    for value, held in zip(values, roster.showing(column, values), strict=True):
        rest = ~roster.groups_of(held | unknown)
        drawn = roster.draw(rest, val, seed, f"val/{column}={value}")
        training = (rest & ~drawn)[roster.group]
        shifted = roster.split(
            f"{column}={value}",
            train=training,
            val=drawn[roster.group],
            test=held,
            held_out=(column, value),
        )
        yield shifted
        yield from half_controls(shifted, roster, training, held, held, seed)
