"""Contamination protocol: a share of the images observed as good is really defective, nested over the rates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pandas as pd

from reshift.splits.contaminants import Pool, Unit, fill, make_pool
from reshift.splits.drawing import check_share
from reshift.splits.protocol import Protocol, Split
from reshift.splits.roles import usable_splits
from reshift.splits.roster import Mask, Roster
from reshift.splits.samples import DEFECTIVE, GOOD

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)


class Contamination(Protocol):
    """A stated share of the training images called good, up to half, is really defective; the test stays true.

    Whole parts or single views are injected; docs/definitions.md, 'Contamination', says what a rate is. Per repeat,
    parts are divided once, label by label: test, then validation, then training; defective parts outside test are
    either observed as what they are or wait in reserve. Every rate has the same test, the same observed defective
    images and the same number N of observed-good images on each side; contaminants take places of good ones. A rate is
    met to within one injected unit, in training and in validation each.

    Args:
        rates: shares in [0, .5] of the observed-good images.
        unit: "part" injects all views of a part, "view" single defective views.
        repeats: number of independent divisions.
        test: share of the parts of each label that is tested.
        val: share of the other parts that validates, with its own reserve.
        observed: share of the defective parts outside test whose labels are true at every rate.
        max_good: at most so many observed-good training images; validation is capped in proportion.
        allow_subsample: reduce N to the largest that reaches every rate, instead of refusing rates.

    Raises:
        ValueError: a rate outside [0, .5], an unknown unit, a share outside (0, 1).
    """

    name: ClassVar[str] = "contamination"

    def __init__(
        self,
        rates: tuple[float, ...] = RATES,
        unit: Unit = "part",
        repeats: int = 1,
        test: float = 0.3,
        val: float = 0.25,
        observed: float = 0.2,
        max_good: int | None = None,
        allow_subsample: bool = False,
    ) -> None:
        for rate in rates:
            if not 0 <= rate <= 0.5:
                raise ValueError(f"rate {rate!r} is outside [0, 0.5]; above, most called good are defective")
        if unit not in ("part", "view"):
            raise ValueError(f"unit={unit!r} is not known; give 'part' or 'view'")
        self.rates = tuple(sorted(set(rates)))
        self.unit = unit
        self.repeats = repeats
        self.test = check_share("test", test)
        self.val = check_share("val", val)
        self.observed = check_share("observed", observed)
        self.max_good = max_good
        self.allow_subsample = allow_subsample

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """Splits `rate=0.2/repeat=0`, repeat by repeat and by rising rate.

        Raises:
            Skip: after everything that can be reached was yielded: the rates that cannot, with needed and
                available numbers.
        """
        refused: list[str] = []
        yield from usable_splits(self.name, self._repeats(table, seed, refused), table, refused)

    def _repeats(self, table: pd.DataFrame, seed: int, refused: list[str]) -> Iterator[Split]:
        roster = Roster.of(table)
        for repeat in range(self.repeats):
            test, train, val = self._divide(roster, seed, f"repeat={repeat}")
            sides = zip(
                self.rates,
                fill(train, self._size(train, self.max_good), self.rates),
                fill(val, self._size(val, self._val_cap()), self.rates),
                strict=True,
            )
            for rate, training, validating in sides:
                name = f"rate={rate:g}/repeat={repeat}"
                if isinstance(training, str) or isinstance(validating, str):
                    reasons = [reason for reason in (training, validating) if isinstance(reason, str)]
                    refused.append(f"{name} (needs {', and '.join(reasons)})")
                    continue
                contaminants = np.concatenate([training.contaminants, validating.contaminants])
                yield roster.split(
                    name,
                    train=roster.mask(training.samples),
                    val=roster.mask(validating.samples),
                    test=test,
                    train_labels=dict.fromkeys(roster.ids(roster.mask(contaminants)), GOOD),
                    noise={
                        "kind": "contamination",
                        "unit": self.unit,
                        "rate": rate,
                        "achieved": training.achieved,
                        "achieved_val": validating.achieved,
                    },
                )

    def _divide(self, roster: Roster, seed: int, repeat: str) -> tuple[Mask, Pool, Pool]:
        is_defective = roster.group_labels == DEFECTIVE
        # Defective groups are drawn in proportion of what they can inject, so that reserves come out balanced.
        _, defects = roster.count(np.ones(len(roster.samples), dtype=np.bool_))
        sizes = np.where(is_defective, defects, roster.images)
        tested = roster.draw(np.ones(len(sizes), dtype=np.bool_), self.test, seed, f"{repeat}/test", sizes)
        validating = roster.draw(~tested, self.val, seed, f"{repeat}/val", sizes)
        pools = []
        for side, groups in (("train", ~tested & ~validating), ("val", validating)):
            defective = groups & is_defective
            observed = roster.draw(defective, self.observed, seed, f"{repeat}/observed/{side}", sizes)
            good, reserve = groups & ~is_defective, defective & ~observed
            pools.append(make_pool(side, roster, good, observed, reserve, self.unit, seed, repeat))
        return tested[roster.group], pools[0], pools[1]

    def _size(self, pool: Pool, cap: int | None) -> int:
        size = pool.clean_views + len(pool.good)
        size = size if cap is None else min(size, cap)
        highest = max(self.rates)
        return min(size, int(pool.contaminants / highest)) if self.allow_subsample and highest else size

    def _val_cap(self) -> int | None:
        return None if self.max_good is None else int(self.max_good * self.val / (1 - self.val) + 0.5)
