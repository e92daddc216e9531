"""Label-flip protocol: the same share of both classes is observed as the other one, nested over the rates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from reshift.splits.drawing import check_share
from reshift.splits.in_distribution import check_folds, fold_masks
from reshift.splits.protocol import Protocol, Split, unit_hashes, utf8
from reshift.splits.roles import usable_splits
from reshift.splits.roster import Mask, Roster
from reshift.splits.samples import DEFECTIVE, GOOD

RATES = (0.0, 0.1, 0.2, 0.3, 0.4)
HIGHEST = 0.4  # at 50 % labels carry no information


class LabelFlips(Protocol):
    """A stated share of good and of defective training parts has the wrong label; the test labels stay true.

    Symmetric label noise in train and val on in-distribution folds. In each role and class, the rounded share of units
    in a fixed hash order is flipped, so that flips are nested. A flipped part shows the label it does not have on all
    of its images, a flipped image only on itself.

    Args:
        rates: shares in [0, .4].
        unit: what is mislabelled as a whole, "part" or "image".
        folds: number of folds over parts, at least 2.
        folds_used: yield only the first so many folds; None for all.
        val: share of the parts outside the fold that validate.

    Raises:
        ValueError: a rate outside [0, .4], an unknown unit, fewer than 2 folds, a share outside (0, 1).
    """

    name: ClassVar[str] = "label_flips"

    def __init__(
        self,
        rates: tuple[float, ...] = RATES,
        unit: Literal["part", "image"] = "part",
        folds: int = 5,
        folds_used: int | None = None,
        val: float = 0.2,
    ) -> None:
        for rate in rates:
            if not 0 <= rate <= HIGHEST:
                raise ValueError(f"rate {rate!r} is outside [0, {HIGHEST}]; at 0.5 labels carry no information")
        if unit not in ("part", "image"):
            raise ValueError(f"unit={unit!r} is not known; give 'part' or 'image'")
        self.rates = tuple(sorted(set(rates)))
        self.unit = unit
        self.folds = check_folds(folds)
        self.folds_used = folds_used
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Splits `fold=0/rate=0.2`, fold by fold and by rising rate.

        Raises:
            Skip: after everything that can be reached was yielded: rates too low to flip one unit of training.
        """
        refused: list[str] = []
        yield from usable_splits(self.name, self._flip(table, seed, refused), table, refused)

    def _flip(self, table: pd.DataFrame, seed: int, refused: list[str]) -> Iterator[Split]:
        roster = Roster.of(table)
        for fold, train, val, test in fold_masks(roster, seed, self.folds, self.folds_used, self.val):
            for rate in self.rates:
                name = f"{fold}/rate={rate:g}"
                (training, flipped, units), (validating, _, _) = (
                    _flipped(roster, rows, self.unit, rate, seed, f"{fold}/{place}")
                    for place, rows in enumerate((train, val))
                )
                if rate > 0 and not flipped:
                    refused.append(f"{name} (less than one of {units} training {self.unit}s of either class)")
                    continue
                changed = training | validating
                observed = (1 - roster.labels[changed]).tolist()
                yield roster.split(
                    name,
                    train=train,
                    val=val,
                    test=test,
                    train_labels=dict(zip(roster.ids(changed), observed, strict=True)),
                    noise={
                        "kind": "label_flips",
                        "unit": self.unit,
                        "rate": rate,
                        "achieved": flipped / units if units else 0.0,
                    },
                )


def _flipped(roster: Roster, rows: Mask, unit: str, rate: float, seed: int, place: str) -> tuple[Mask, int, int]:
    """Samples whose observed label differs from the truth, (N,), how many units are flipped, and how many there are."""
    if unit == "part":
        number, names, truth = roster.group, roster.hashed_names, roster.group_labels
        units = np.flatnonzero(roster.groups_of(rows))
    else:
        number, truth = np.arange(len(roster.samples)), roster.labels
        names = utf8(roster.samples.tolist())
        units = np.flatnonzero(rows)
    observed = truth.copy()
    flipped = 0
    for label in (GOOD, DEFECTIVE):
        own = units[truth[units] == label]
        order = own[np.argsort(unit_hashes(seed, f"flip/{place}", names[own]), kind="stable")]
        chosen = order[: int(rate * len(order) + 0.5)]
        observed[chosen] = 1 - label
        flipped += len(chosen)
    # A flipped part shows its observed label on all images, also on those that had it anyway.
    turned = (observed != truth)[number]
    return rows & turned & (roster.labels != observed[number]), flipped, len(units)
