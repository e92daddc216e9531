"""Unseen-defect protocol: every part that carries one kind of defect is tested and never trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pandas as pd

from reshift.splits.drawing import check_share, draw_share
from reshift.splits.groups import group_frame, groups_in, samples_of, with_groups
from reshift.splits.held_out import choose_values
from reshift.splits.matched_control import half_controls
from reshift.splits.protocol import Protocol, Skip, Split
from reshift.splits.roles import build_split, usable_splits
from reshift.splits.samples import DEFECTIVE, GOOD


class UnseenDefect(Protocol):
    """Each kind of defect in turn is tested and never trained on.

    Good-looking views of its parts are held out with it. Test is every part that carries the defect together with good
    parts that are held out for all defects of a seed alike. Defective samples without a named defect may show the
    held-out one, so their groups have no role. For detectors that train on good images this is a breakdown by defect,
    not a shift.

    Args:
        values: hold out only these defects; None for all.
        good: share of the good parts that is tested with every defect.
        val: share of the remaining parts that validate.

    Raises:
        ValueError: a share outside (0, 1).
    """

    name: ClassVar[str] = "unseen_defect"
    requires: ClassVar[tuple[str, ...]] = ("label",)

    def __init__(self, values: tuple[str, ...] | None = None, good: float = 0.2, val: float = 0.2) -> None:
        self.values = values
        self.good = check_share("good", good)
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Splits `defect=<value>` and, where parts suffice, `defect=<value>/control=a` and `/control=b`.

        Raises:
            Skip: fewer than two kinds of defect, so that none can be unseen while others are seen.
        """
        self.check_columns(table)
        known = sorted(set(table.loc[table["label"] == DEFECTIVE, "defect"]) - {""})
        if len(known) < 2:
            raise Skip(f"column 'defect' names {known or 'nothing'}; {self.name} needs at least two kinds of defect")
        yield from usable_splits(
            self.name, self._hold_out(table, choose_values("defect", known, self.values), seed), table
        )

    def _hold_out(self, table: pd.DataFrame, values: list[str], seed: int) -> Iterator[Split]:
        grouped = with_groups(table)
        frame = group_frame(grouped)
        good = draw_share(frame[frame["label"] == GOOD], self.good, seed, "held-out good")
        unknown = groups_in(grouped[(grouped["label"] == DEFECTIVE) & (grouped["defect"] == "")])
        for value in values:
            parts = set(grouped.loc[grouped["defect"] == value, "part"])
            held = grouped[grouped["part"].isin(list(parts))]
            rest = frame[~frame.index.isin(list(groups_in(held) | good | unknown))]
            validating = draw_share(rest, self.val, seed, f"val/defect={value}")
            shifted = build_split(
                grouped,
                f"defect={value}",
                train=samples_of(grouped, set(rest.index) - validating),
                val=samples_of(grouped, validating),
                test={*held["sample"], *samples_of(grouped, good)},
                held_out=("defect", value),
            )
            yield shifted
            yield from half_controls(shifted, grouped, held, seed, labels=frozenset({DEFECTIVE}))
