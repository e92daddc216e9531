"""Random-image protocol: label-stratified folds over images, the leaky S1 of Bauer et al. (arXiv 2511.15440)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pandas as pd

from reshift.splits.drawing import check_share, deal_numbers, draw_mask
from reshift.splits.in_distribution import check_folds
from reshift.splits.protocol import Protocol, Split, utf8
from reshift.splits.roles import usable_splits
from reshift.splits.roster import Roster


class RandomImage(Protocol):
    """Single images are dealt to folds, which leaks: one part is in training and test (S1 of Bauer et al. 2025).

    It breaks the part and content invariants on purpose: its boards show what leakage is worth.

    Args:
        folds: number of folds, at least 2.
        folds_used: yield only the first so many folds; None for all.
        val: share of the images outside the fold that validate.

    Raises:
        ValueError: fewer than 2 folds, or a share outside (0, 1).
    """

    name: ClassVar[str] = "random_image"

    def __init__(self, folds: int = 5, folds_used: int | None = None, val: float = 0.2) -> None:
        self.folds = check_folds(folds)
        self.folds_used = folds_used
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Splits `fold=0`, `fold=1`, ..., each with `breaks=("parts", "content")`."""
        yield from usable_splits(self.name, self._folds(table, seed), table)

    def _folds(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        roster = Roster.of(table)
        samples = utf8(roster.samples.tolist())
        dealt = deal_numbers(samples, roster.labels, self.folds, seed, "image fold")
        for fold in range(self.folds)[: self.folds_used]:
            rest = np.flatnonzero(dealt != fold)
            images = np.ones(len(rest), dtype=np.int64)
            purpose = f"image val/fold={fold}"
            val = np.zeros(len(dealt), dtype=np.bool_)
            val[rest] = draw_mask(samples[rest], roster.labels[rest], images, self.val, seed, purpose)
            yield roster.split(
                f"fold={fold}",
                train=(dealt != fold) & ~val,
                val=val,
                test=dealt == fold,
                breaks=("parts", "content"),
            )
