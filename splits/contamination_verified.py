"""The contamination protocol with good parts set aside whose labels somebody has verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pandas as pd

from reshift.splits.contamination import Contamination
from reshift.splits.groups import group_frame, samples_of, with_groups
from reshift.splits.protocol import Skip, Split, hash_order
from reshift.splits.samples import GOOD


class ContaminationVerified(Contamination):
    """Contamination, with good parts beside it that are verified: what a search for wrong labels compares with.

    Training, validation and test are those of `Contamination` with the same arguments. Verified parts become the
    calibration role: truly good, the same at every rate of a repeat, never trained on, and taken from what no rate
    uses. There is something to take only where `max_good` leaves good parts over.

    Args:
        verified: at least so many verified images, in whole parts; all that are left over where there are fewer.
        contamination: all arguments of `Contamination`.

    Raises:
        ValueError: as `Contamination`, or fewer than one verified image.
    """

    name: ClassVar[str] = "contamination_verified"

    def __init__(self, verified: int = 100, **contamination: Any) -> None:
        super().__init__(**contamination)
        if verified < 1:
            raise ValueError(f"verified={verified} images: give at least 1, or take protocol contamination")
        self.verified = verified

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """As `Contamination`, each split with its calibration role.

        Raises:
            Skip: as `Contamination`; or before anything was yielded, where no good part is left over.
        """
        found: list[Split] = []
        refused: Skip | None = None
        try:
            found.extend(super().splits(table, seed))
        except Skip as skip:
            refused = skip
        aside = self._aside(table, found, seed)
        for split in found:
            kept = aside[_repeat(split)]
            yield replace(split, calibration=kept, dropped=split.dropped - len(kept))
        if refused is not None:
            raise refused

    def _aside(self, table: pd.DataFrame, splits: list[Split], seed: int) -> dict[str, tuple[str, ...]]:
        grouped = with_groups(table)
        group = dict(zip(grouped["sample"], grouped["group"], strict=True))
        frame = group_frame(grouped)
        good = set(map(str, frame.index[frame["label"] == GOOD]))
        found: dict[str, tuple[str, ...]] = {}
        for repeat in sorted({_repeat(split) for split in splits}):
            used = {
                group[sample]
                for split in splits
                if _repeat(split) == repeat
                for sample in (*split.train, *split.val, *split.test)
            }
            taken: list[str] = []
            for name in hash_order(seed, f"{repeat}/verified", sorted(good - used)):
                if len(taken) >= self.verified:
                    break
                taken.extend(samples_of(grouped, {name}))
            if not taken:
                raise Skip(f"{self.name}: {repeat} leaves no good part over to verify; set or lower max_good")
            found[repeat] = tuple(sorted(taken))
        return found


def _repeat(split: Split) -> str:
    return split.name.split("/")[1]
