"""Contaminants: which defective images pass as good on one side of a split, nested over the rates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from reshift.splits.protocol import hash_order

Unit = Literal["part", "view"]


@dataclass(frozen=True)
class Injected:
    """One unit that may be injected: its really defective images, and good-looking ones that come with the part."""

    defective: tuple[str, ...]
    clean: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pool:
    """What one side of a split (train or val) is made of.

    Attributes:
        side: name of the side, for messages.
        good: images of good groups, in the order in which they stay when contaminants take their places.
        observed_defective: images of the defective groups whose labels are true at every rate.
        clean_views: how many of those are good-looking, hence observed good at every rate.
        reserve: units to inject, in the order in which they are tried; unused unless injected.
    """

    side: str
    good: tuple[str, ...]
    observed_defective: tuple[str, ...]
    clean_views: int
    reserve: tuple[Injected, ...]

    @property
    def contaminants(self) -> int:
        """Number of defective images in the reserve."""
        return sum(len(unit.defective) for unit in self.reserve)


@dataclass(frozen=True)
class Filled:
    """One side at one rate: all its images, the defective ones that are observed good, and the share these make up."""

    samples: tuple[str, ...]
    contaminants: tuple[str, ...]
    achieved: float


def make_pool(
    side: str,
    grouped: pd.DataFrame,
    good: set[str],
    observed: set[str],
    reserve: set[str],
    unit: Unit,
    seed: int,
    repeat: str,
) -> Pool:
    """The pool of one side from the names of its groups; `grouped` has a column `group`."""
    rows = grouped[grouped["group"].isin([*good, *observed, *reserve])]
    images: dict[str, tuple[list[str], list[str]]] = {}
    for group, sample, label in zip(rows["group"], rows["sample"], rows["label"], strict=True):
        images.setdefault(str(group), ([], []))[int(label)].append(str(sample))
    if unit == "part":
        order = hash_order(seed, f"{repeat}/inject/{side}", list(reserve))
        units = [Injected(tuple(images[group][1]), tuple(images[group][0])) for group in order]
    else:
        views = [sample for group in reserve for sample in images[group][1]]
        units = [Injected((sample,)) for sample in hash_order(seed, f"{repeat}/inject/{side}", views)]
    return Pool(
        side=side,
        # Grouped by part: what is trimmed at a higher rate is whole parts and the rest of one.
        good=tuple(s for group in hash_order(seed, f"{repeat}/keep/{side}", list(good)) for s in images[group][0]),
        observed_defective=tuple(s for group in sorted(observed) for label in (0, 1) for s in images[group][label]),
        clean_views=sum(len(images[group][0]) for group in observed),
        reserve=tuple(units),
    )


def fill(pool: Pool, size: int, rates: tuple[float, ...]) -> Iterator[Filled | str]:
    """For each rate, in rising order, the side with `size` observed-good images; or why the rate is out of reach.

    Units are taken in their order as long as they fit under `rate * size`, keeping all of the lower rates, so the
    sets are nested and what is missing is less than any unit left over. The other places go to the first good images.
    """
    taken: list[Injected] = []
    waiting = list(pool.reserve)
    images = defective = 0
    for rate in rates:
        target = int(rate * size + 0.5)
        if not size:
            yield f"no observed-good {pool.side} image"
            continue
        if target > pool.contaminants:
            yield f"{target} of {size} observed-good {pool.side} images, {pool.contaminants} defective in reserve"
            continue
        left = []
        for unit in waiting:
            if defective + len(unit.defective) <= target:
                taken.append(unit)
                images += len(unit.defective) + len(unit.clean)
                defective += len(unit.defective)
            else:
                left.append(unit)
        waiting = left
        kept = size - pool.clean_views - images
        if rate > 0 and not taken:
            yield f"{target} of {size} observed-good {pool.side} images, the smallest whole part has more"
        elif kept < 0:
            yield f"{pool.clean_views + images} places with good-looking views, {size} observed-good {pool.side} images"
        else:
            contaminants = tuple(sample for unit in taken for sample in unit.defective)
            clean = [sample for unit in taken for sample in unit.clean]
            samples = (*pool.observed_defective, *contaminants, *clean, *pool.good[:kept])
            yield Filled(samples, contaminants, defective / size)
