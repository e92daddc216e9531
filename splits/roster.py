"""A table's samples and groups as arrays, on which a hundred splits of a hundred thousand images are quickly drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.splits.drawing import draw_mask
from reshift.splits.groups import with_groups
from reshift.splits.protocol import Split, unit_hashes, utf8
from reshift.splits.samples import DEFECTIVE

Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Roster:
    """N samples in G groups.

    Attributes:
        table: sorted by sample, see `with_groups`.
        samples: (N,) ids, sorted; `labels` (N,) theirs.
        group: (N,) the number of each sample's group; `names` (G,) of the groups, sorted.
    """

    table: pd.DataFrame
    samples: NDArray[np.object_]
    labels: Numbers
    group: Numbers
    names: NDArray[np.object_]

    @classmethod
    def of(cls, table: pd.DataFrame) -> Roster:
        """The roster of a validated table."""
        grouped = with_groups(table)
        group = grouped["group"].cat
        return cls(
            grouped,
            grouped["sample"].to_numpy(dtype=object),
            grouped["label"].to_numpy(dtype=np.int64),
            np.asarray(group.codes, dtype=np.int64),
            group.categories.to_numpy(dtype=object),
        )

    def showing(self, column: str, values: list[str]) -> Iterator[Mask]:
        """For each value the samples that have it, (N,)."""
        number, known = pd.factorize(self.table[column])
        place = {name: code for code, name in enumerate(known)}
        return (number == place.get(value, -1) for value in values)

    @cached_property
    def hashed_names(self) -> NDArray[np.object_]:
        """`names` as draws hash them, (G,)."""
        return utf8(self.names.tolist())

    @cached_property
    def images(self) -> Numbers:
        """How many samples each group has, (G,)."""
        return np.bincount(self.group, minlength=len(self.names))

    @cached_property
    def group_labels(self) -> Numbers:
        """(G,): defective if any sample is."""
        return self.groups_of(self.labels == DEFECTIVE).astype(np.int64)

    def groups_of(self, samples: Mask) -> Mask:
        """Which groups these samples belong to, (G,)."""
        return np.bincount(self.group[samples], minlength=len(self.names)) > 0

    def count(self, samples: Mask) -> tuple[Numbers, Numbers]:
        """How many of these samples each group has, and how many defective ones, (G,) each."""
        here, size = self.group[samples], len(self.names)
        return np.bincount(here, minlength=size), np.bincount(here[self.labels[samples] == DEFECTIVE], minlength=size)

    def draw(self, groups: Mask, share: float, seed: int, purpose: str, sizes: Numbers | None = None) -> Mask:
        """A share of these groups, (G,), drawn as `draw_share` does, along their `images` or other sizes, (G,)."""
        own = np.flatnonzero(groups)
        drawn = np.zeros(len(groups), dtype=np.bool_)
        size = (self.images if sizes is None else sizes)[own]
        drawn[own] = draw_mask(self.hashed_names[own], self.group_labels[own], size, share, seed, purpose)
        return drawn

    def hash_order(self, groups: Numbers, seed: int, purpose: str) -> Numbers:
        """The numbers of these groups, given in rising order, in the order in which `hash_order` puts their names."""
        return groups[np.argsort(unit_hashes(seed, purpose, self.hashed_names[groups]), kind="stable")]

    def mask(self, rows: Numbers) -> Mask:
        """Samples by their rows as a mask, (N,)."""
        chosen = np.zeros(len(self.samples), dtype=np.bool_)
        chosen[rows] = True
        return chosen

    def ids(self, samples: Mask) -> tuple[str, ...]:
        """These samples, (N,), by name; sorted, as what is left of a sorted array is."""
        return tuple(self.samples[samples].tolist())

    def split(
        self,
        name: str,
        *,
        train: Mask,
        val: Mask,
        test: Mask,
        held_out: tuple[str, str] | None = None,
        control_of: str = "",
        breaks: tuple[str, ...] = (),
        train_labels: Mapping[str, int] | None = None,
        noise: Mapping[str, object] | None = None,
    ) -> Split:
        """The split with these samples, (N,) each, in its roles; it counts what it drops."""
        train_ids, val_ids, test_ids = self.ids(train), self.ids(val), self.ids(test)
        return Split(
            name=name,
            train=train_ids,
            val=val_ids,
            test=test_ids,
            train_labels=train_labels or {},
            noise=noise or {},
            held_out=held_out,
            control_of=control_of,
            breaks=breaks,
            dropped=len(self.samples) - len(train_ids) - len(val_ids) - len(test_ids),
        )
