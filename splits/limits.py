"""What the numbers of one split are too small to show."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from reshift.splits.protocol import Split
from reshift.splits.samples import DEFECTIVE, GOOD, part_labels

INTERVAL_PARTS = 10
"""Fewest good and fewest defective test parts an interval over parts takes (docs/definitions.md, 'Statistics')."""

THRESHOLD_GOOD = 19
"""Fewest observed-good validation units the 5 % threshold needs (docs/definitions.md, 'Thresholds')."""


@dataclass(frozen=True)
class Sizes:
    """The counts of a split that claims rest on.

    Attributes:
        good, defective: test parts.
        val_good_parts: validation parts all of whose images are observed as good.
        val_good_images: validation images observed as good.
    """

    good: int
    defective: int
    val_good_parts: int
    val_good_images: int

    @property
    def short_of(self) -> dict[str, str]:
        """What this split is too small for, each with its number.

        "interval" is one over parts; "threshold" the 5 % threshold on parts, without which single-image models have no
        part-level figures either; "image threshold" the same on images.
        """
        found: dict[str, str] = {}
        if min(self.good, self.defective) < INTERVAL_PARTS:
            found["interval"] = f"{self.good} good, {self.defective} defective"
        if self.val_good_parts < THRESHOLD_GOOD:
            found["threshold"] = str(self.val_good_parts)
        if self.val_good_images < THRESHOLD_GOOD:
            found["image threshold"] = str(self.val_good_images)
        return found


def split_sizes(split: Split, table: pd.DataFrame) -> Sizes:
    """Count the test and validation parts of a split; `table` is the validated one it was made from."""
    tested = part_labels(table[table["sample"].isin(split.test)])
    rows = table[table["sample"].isin(split.val)]
    observed = rows.assign(label=split.observed_labels(rows).to_numpy())
    return Sizes(
        good=int((tested == GOOD).sum()),
        defective=int((tested == DEFECTIVE).sum()),
        val_good_parts=int((part_labels(observed) == GOOD).sum()),
        val_good_images=int((observed["label"] == GOOD).sum()),
    )
