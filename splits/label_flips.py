"""Label-flip protocol: the same share of both classes is observed as the other one, nested over the rates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import pandas as pd

from reshift.splits.drawing import check_share
from reshift.splits.groups import with_groups
from reshift.splits.in_distribution import check_folds, part_folds
from reshift.splits.protocol import Protocol, Split, hash_order
from reshift.splits.roles import build_split, usable_splits

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
        grouped = with_groups(table)
        for fold in part_folds(table, seed, self.folds, self.folds_used, self.val):
            roles = [grouped[grouped["sample"].isin(samples)] for samples in (fold.train, fold.val)]
            for rate in self.rates:
                name = f"{fold.name}/rate={rate:g}"
                (training, flipped, units), (validating, _, _) = (
                    _flipped(rows, self.unit, rate, seed, f"{fold.name}/{place}") for place, rows in enumerate(roles)
                )
                if rate > 0 and not flipped:
                    refused.append(f"{name} (less than one of {units} training {self.unit}s of either class)")
                    continue
                yield build_split(
                    grouped,
                    name,
                    train=fold.train,
                    val=fold.val,
                    test=fold.test,
                    train_labels={**training, **validating},
                    noise={
                        "kind": "label_flips",
                        "unit": self.unit,
                        "rate": rate,
                        "achieved": flipped / units if units else 0.0,
                    },
                )


def _flipped(rows: pd.DataFrame, unit: str, rate: float, seed: int, place: str) -> tuple[dict[str, int], int, int]:
    """Observed labels that differ from the truth, how many units are flipped, and how many there are."""
    column = "group" if unit == "part" else "sample"
    truth = rows.groupby(column, sort=True)["label"].max()
    observed: dict[str, int] = {}
    for label in (0, 1):
        order = hash_order(seed, f"flip/{place}", list(map(str, truth.index[truth == label])))
        observed.update(dict.fromkeys(order[: int(rate * len(order) + 0.5)], 1 - label))
    changed = {
        str(sample): observed[unit_name]
        for sample, unit_name, label in zip(rows["sample"], rows[column], rows["label"], strict=True)
        if observed.get(unit_name, label) != label
    }
    return changed, len(observed), len(truth)
