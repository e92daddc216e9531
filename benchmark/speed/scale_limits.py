"""A resource against its limit: how its use grows with pictures and cells, and where it is more than there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

Axis = Literal["pictures", "cells"]

GB, HOUR, DAY = 1e9, 3600.0, 86400.0
MEMORY, DISK = 64 * GB, 4000 * GB

RATES = (20e12, 100e12)
"""FLOP/s that a GPU is assumed to sustain: none was at hand."""


@dataclass(frozen=True)
class Term:
    """An amount at the size of the study and the powers of pictures and cells by which it grows."""

    amount: float
    pictures: int = 0
    cells: int = 0


@dataclass(frozen=True)
class Resource:
    """Something the study needs, against a limit.

    Attributes:
        what, limit_text: what and its limit in words.
        terms: what it takes at the study's size, by how it grows.
        limit: in the same unit.
        unit: "bytes", "seconds" or "" for a count.
        remedy: what one would do where it is exceeded.
    """

    what: str
    terms: tuple[Term, ...]
    limit: float
    limit_text: str
    unit: Literal["bytes", "seconds", ""]
    remedy: str

    def at(self, factor: float, axis: Axis) -> float:
        """What it takes where there are `factor` times as many pictures, or cells."""
        powers = ((term.amount, term.pictures if axis == "pictures" else term.cells) for term in self.terms)
        return sum(amount * factor**power for amount, power in powers)

    def breaks(self, axis: Axis) -> float:
        """The factor above which it is over the limit, below 1 where it already is; infinite for what does not grow."""
        if self.at(1, axis) == self.at(2, axis):
            return inf
        low, high = 0.0, 1.0
        while self.at(high, axis) <= self.limit:
            low, high = high, 2 * high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.at(middle, axis) <= self.limit else (low, middle)
        return low


def sorted_by_break(found: Sequence[Resource], axis: Axis) -> list[tuple[float, Resource]]:
    """What grows along the axis, first to break first."""
    return sorted(((r.breaks(axis), r) for r in found if r.breaks(axis) < inf), key=lambda pair: pair[0])
