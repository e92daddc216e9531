"""Test-time shift protocol: trained and validated on pictures as they are, tested on disturbed ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import pandas as pd

from reshift.splits.drawing import check_share
from reshift.splits.in_distribution import check_folds, part_folds
from reshift.splits.protocol import Protocol, Split
from reshift.splits.roles import usable_splits

KINDS = ("blur", "lighting", "noise", "pose")
SEVERITIES = (1, 2, 3, 4, 5)


class TestTimeShift(Protocol):
    """Test pictures are disturbed in light, sharpness, noise and pose (after Hendrycks and Dietterich 2019).

    Every fold is tested as it is, then disturbed. The idea and the five severities are those of the ICLR paper; what a
    severity does to the pixels is stated in `datamodules.test_shift`. Training, validation and thresholds never see a
    disturbed picture, and all splits of a fold share one trained model and the same test parts, so that differences are
    paired.

    Args:
        kinds: which disturbances.
        severities: which of 1 to 5.
        folds, folds_used, val: see `InDistribution`.

    Raises:
        ValueError: an unknown kind or severity, fewer than 2 folds, or a share outside (0, 1).
    """

    name: ClassVar[str] = "test_time_shift"

    def __init__(
        self,
        kinds: Sequence[str] = KINDS,
        severities: Sequence[int] = SEVERITIES,
        folds: int = 5,
        folds_used: int | None = 1,
        val: float = 0.2,
    ) -> None:
        for what, given, known in (("kinds", kinds, KINDS), ("severities", severities, SEVERITIES)):
            unknown = [value for value in given if value not in known]
            if unknown or not given:
                listed = ", ".join(map(str, known))
                raise ValueError(f"{what}={list(given)!r}: choose some of {listed}")
        self.kinds, self.severities = tuple(kinds), tuple(severities)
        self.folds, self.folds_used = check_folds(folds), folds_used
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Splits `fold=k`, then `fold=k/<kind>=<severity>`."""
        for fold in usable_splits(self.name, part_folds(table, seed, self.folds, self.folds_used, self.val), table):
            yield fold
            for kind in self.kinds:
                for severity in self.severities:
                    yield replace(fold, name=f"{fold.name}/{kind}={severity}", test_shift=(kind, severity))
