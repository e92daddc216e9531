"""Unseen-defect protocol: every part that carries one kind of defect is tested and never trained on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pandas as pd

from reshift.splits.drawing import check_share
from reshift.splits.held_out import choose_values
from reshift.splits.matched_control import half_controls
from reshift.splits.protocol import Protocol, Skip, Split
from reshift.splits.roles import usable_splits
from reshift.splits.roster import Roster
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
        known = sorted(set(table.loc[table["label"] == DEFECTIVE, "defect"].unique()) - {""})
        if len(known) < 2:
            raise Skip(f"column 'defect' names {known or 'nothing'}; {self.name} needs at least two kinds of defect")
        yield from usable_splits(
            self.name, self._hold_out(table, choose_values("defect", known, self.values), seed), table
        )

    def _hold_out(self, table: pd.DataFrame, values: list[str], seed: int) -> Iterator[Split]:
        roster = Roster.of(table)
        good = roster.draw(roster.group_labels == GOOD, self.good, seed, "held-out good")
        (unnamed,) = roster.showing("defect", [""])
        unknown = roster.groups_of(unnamed & (roster.labels == DEFECTIVE))
        part, _ = pd.factorize(roster.table["part"])
        for value, showing in zip(values, roster.showing("defect", values), strict=True):
            held = (np.bincount(part[showing], minlength=len(table)) > 0)[part]
            rest = ~(roster.groups_of(held) | good | unknown)
            drawn = roster.draw(rest, self.val, seed, f"val/defect={value}")
            training, tested = (rest & ~drawn)[roster.group], held | good[roster.group]
            shifted = roster.split(
                f"defect={value}",
                train=training,
                val=drawn[roster.group],
                test=tested,
                held_out=("defect", value),
            )
            yield shifted
            yield from half_controls(shifted, roster, training, tested, held, seed, labels=frozenset({DEFECTIVE}))
