"""In-distribution protocol: label-stratified folds over parts, S3 of Bauer et al. (arXiv 2511.15440)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pandas as pd

from reshift.splits.drawing import check_share, deal_numbers
from reshift.splits.protocol import Protocol, Split
from reshift.splits.roles import usable_splits
from reshift.splits.roster import Mask, Roster


class InDistribution(Protocol):
    """No shift, for comparison: parts are dealt to folds, and each is tested once (S3 of Bauer et al. 2025).

    Folds are stratified by label; validation is a share of the parts outside the fold.

    Args:
        folds: number of folds, at least 2.
        folds_used: yield only the first so many folds; None for all.
        val: share of the parts outside the fold that validate.

    Raises:
        ValueError: fewer than 2 folds, or a share outside (0, 1).
    """

    name: ClassVar[str] = "in_distribution"

    def __init__(self, folds: int = 5, folds_used: int | None = None, val: float = 0.2) -> None:
        self.folds = check_folds(folds)
        self.folds_used = folds_used
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Splits `fold=0`, `fold=1`, ...; a fold whose test would hold one class is left out."""
        yield from usable_splits(self.name, part_folds(table, seed, self.folds, self.folds_used, self.val), table)


def check_folds(folds: int) -> int:
    """The number of folds itself, if at least 2; otherwise `ValueError`."""
    if folds < 2:
        raise ValueError(f"folds={folds!r} leaves nothing to train on; give at least 2")
    return folds


def part_folds(table: pd.DataFrame, seed: int, folds: int, folds_used: int | None, val: float) -> Iterator[Split]:
    """Folds over parts, named `fold=k`, before any check that they can be run."""
    roster = Roster.of(table)
    for name, train, validating, test in fold_masks(roster, seed, folds, folds_used, val):
        yield roster.split(name, train=train, val=validating, test=test)


def fold_masks(
    roster: Roster, seed: int, folds: int, folds_used: int | None, val: float
) -> Iterator[tuple[str, Mask, Mask, Mask]]:
    """The name of each fold over parts, and its samples in train, val and test, (N,) each."""
    dealt = deal_numbers(roster.hashed_names, roster.group_labels, folds, seed, "fold")
    for fold in range(folds)[:folds_used]:
        rest = dealt != fold
        drawn = roster.draw(rest, val, seed, f"val/fold={fold}")
        yield f"fold={fold}", (rest & ~drawn)[roster.group], drawn[roster.group], ~rest[roster.group]
