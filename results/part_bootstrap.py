"""The interval of any mean over splits: parts are drawn again, each with all its images, seeds and splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from reshift.results.scored_units import Units
from reshift.results.statistics import CONFIDENCE, MIN_PARTS, Interval

Draw = Callable[[str, Units], Units]
"""Gives the units of a split as one draw of its parts has them."""


def part_bootstrap(
    tests: Mapping[str, Sequence[Units]], mean_of: Callable[[Draw], float], resamples: int
) -> Interval | None:
    """Percentile bootstrap over parts, all seeds and splits of a part drawn with it.

    Parts are drawn among those of their class that the same splits test, so that every draw has the classes and the
    sizes of the data. None below `MIN_PARTS` parts of a class in any split, where no draw is defined, and where all
    draws agree, which says nothing about the next part.
    """
    label: dict[str, int] = defaultdict(int)
    where: dict[str, set[str]] = defaultdict(set)
    for split, units_of in tests.items():
        for units in units_of:
            for part, value in zip(units.part.tolist(), units.label.tolist(), strict=True):
                label[part] = max(label[part], value)
                where[part].add(split)
    for split in tests:
        own = [label[part] for part in label if split in where[part]]
        if min(sum(own), len(own) - sum(own)) < MIN_PARTS:
            return None
    strata: dict[tuple[int, tuple[str, ...]], list[str]] = defaultdict(list)
    for part in sorted(label):
        strata[label[part], tuple(sorted(where[part]))].append(part)
    rows = {id(units): _rows_by_part(units) for units_of in tests.values() for units in units_of}
    # One seed for all: models on the same parts meet the same draws.
    generator = np.random.default_rng(0)
    means = []
    for _ in range(resamples):
        drawn = {key: generator.choice(members, len(members)).tolist() for key, members in sorted(strata.items())}

        def draw(split: str, units: Units, drawn: dict[tuple[int, tuple[str, ...]], list[str]] = drawn) -> Units:
            parts = [part for (_, splits), chosen in drawn.items() if split in splits for part in chosen]
            return _taken(units, np.concatenate([rows[id(units)][part] for part in parts]))

        means.append(mean_of(draw))
    known = [value for value in means if isfinite(value)]
    if len(set(known)) < 2:
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _rows_by_part(units: Units) -> dict[str, NDArray[np.intp]]:
    found: dict[str, list[int]] = defaultdict(list)
    for row, part in enumerate(units.part.tolist()):
        found[part].append(row)
    return {part: np.array(rows, dtype=np.intp) for part, rows in found.items()}


def _taken(units: Units, rows: NDArray[np.intp]) -> Units:
    return Units(**{name: array[rows] for name, array in vars(units).items()})
