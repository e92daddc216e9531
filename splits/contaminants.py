"""Contaminants: which defective images pass as good on one side of a split, nested over the rates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reshift.splits.protocol import unit_hashes, utf8
from reshift.splits.roster import Mask, Numbers, Roster
from reshift.splits.samples import DEFECTIVE, GOOD

Unit = Literal["part", "view"]


@dataclass(frozen=True, eq=False)
class Pool:
    """What one side of a split (train or val) is made of; images are rows of the roster.

    Attributes:
        side: name of the side, for messages.
        good: images of good groups, in the order in which they stay when contaminants take their places.
        observed_defective: images of the defective groups whose labels are true at every rate.
        clean_views: how many of those are good-looking, hence observed good at every rate.
        defective: (U,) for each unit in reserve how many really defective images it has, in the order in which units
            are tried; unused unless injected. `clean` (U,) counts the good-looking ones that come with a whole part.
        defective_images, clean_images: the images themselves, unit after unit.
    """

    side: str
    good: Numbers
    observed_defective: Numbers
    clean_views: int
    defective: Numbers
    clean: Numbers
    defective_images: Numbers
    clean_images: Numbers

    @property
    def contaminants(self) -> int:
        """Number of defective images in the reserve."""
        return len(self.defective_images)


@dataclass(frozen=True, eq=False)
class Filled:
    """One side at one rate: all its images, the defective ones that are observed good, and the share these make up."""

    samples: Numbers
    contaminants: Numbers
    achieved: float


def make_pool(
    side: str, roster: Roster, good: Mask, observed: Mask, reserve: Mask, unit: Unit, seed: int, repeat: str
) -> Pool:
    """The pool of one side from its groups, (G,) each."""
    images = _Images(roster)
    clean_observed, defective_observed = (images.of(np.flatnonzero(observed), label)[0] for label in (GOOD, DEFECTIVE))
    # Grouped by part: what is trimmed at a higher rate is whole parts and the rest of one.
    kept = images.of(roster.hash_order(np.flatnonzero(good), seed, f"{repeat}/keep/{side}"), GOOD)[0]
    if unit == "part":
        units = roster.hash_order(np.flatnonzero(reserve), seed, f"{repeat}/inject/{side}")
        (injected, defective), (beside, clean) = images.of(units, DEFECTIVE), images.of(units, GOOD)
    else:
        views = np.sort(images.of(np.flatnonzero(reserve), DEFECTIVE)[0])
        hashes = unit_hashes(seed, f"{repeat}/inject/{side}", utf8(roster.samples[views].tolist()))
        injected, beside = views[np.argsort(hashes, kind="stable")], np.empty(0, dtype=np.int64)
        defective, clean = np.ones(len(views), dtype=np.int64), np.zeros(len(views), dtype=np.int64)
    return Pool(
        side=side,
        good=kept,
        observed_defective=np.concatenate([clean_observed, defective_observed]),
        clean_views=len(clean_observed),
        defective=defective,
        clean=clean,
        defective_images=injected,
        clean_images=beside,
    )


class _Images:
    """Looks the images of groups up."""

    def __init__(self, roster: Roster) -> None:
        key = 2 * roster.group + roster.labels
        self._rows = np.argsort(key, kind="stable")
        self._edges = np.searchsorted(key[self._rows], np.arange(2 * len(roster.names) + 1))

    def of(self, groups: Numbers, label: int) -> tuple[Numbers, Numbers]:
        """The images of these groups that have the label, group after group, and how many each has."""
        start = self._edges[2 * groups + label]
        count = self._edges[2 * groups + label + 1] - start
        # Each group's first place in the result is where the counts before it end.
        shift = start - np.concatenate([[0], np.cumsum(count)])[:-1]
        return self._rows[np.arange(count.sum()) + np.repeat(shift, count)], count


def fill(pool: Pool, size: int, rates: tuple[float, ...]) -> Iterator[Filled | str]:
    """For each rate, in rising order, the side with `size` observed-good images; or why the rate is out of reach.

    Units are taken in their order as long as they fit under `rate * size`, keeping all of the lower rates, so the
    sets are nested and what is missing is less than any unit left over. The other places go to the first good images.
    """
    taken = np.zeros(len(pool.defective), dtype=np.bool_)
    images = found = 0
    for rate in rates:
        target = int(rate * size + 0.5)
        if not size:
            yield f"no observed-good {pool.side} image"
            continue
        if target > pool.contaminants:
            yield f"{target} of {size} observed-good {pool.side} images, {pool.contaminants} defective in reserve"
            continue
        waiting = np.flatnonzero(~taken)
        for unit, defective in zip(waiting.tolist(), pool.defective[waiting].tolist(), strict=True):
            if found + defective <= target:
                taken[unit] = True
                found += defective
        images = found + int(pool.clean[taken].sum())
        kept = size - pool.clean_views - images
        if rate > 0 and not taken.any():
            yield f"{target} of {size} observed-good {pool.side} images, the smallest whole part has more"
        elif kept < 0:
            yield f"{pool.clean_views + images} places with good-looking views, {size} observed-good {pool.side} images"
        else:
            contaminants = pool.defective_images[np.repeat(taken, pool.defective)]
            clean = pool.clean_images[np.repeat(taken, pool.clean)]
            samples = np.concatenate([pool.observed_defective, contaminants, clean, pool.good[:kept]])
            yield Filled(samples, contaminants, found / size)
