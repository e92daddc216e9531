"""The gap of a shift: matched control minus shifted AUROC on the same parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reshift.results.clustered_auroc import Components, components
from reshift.results.scored_units import Units


@dataclass(frozen=True)
class Gap:
    """Gap of one shifted split.

    Attributes:
        by_seed: mean over the control halves of control minus shifted AUROC; positive = the shift costs AUROC.
        terms: weighted AUROC components whose `combine` is the mean over seeds with its paired variance.
        parts: parts the gap rests on.
    """

    by_seed: Mapping[int, float]
    terms: tuple[tuple[float, Components], ...]
    parts: frozenset[str]


def gap(shifted: Mapping[int, Units], controls: Sequence[Mapping[int, Units]]) -> Gap | None:
    """Pair a shifted split with its control splits, seed by seed and part by part.

    docs/definitions.md, 'Matched control and gap', says what a control is.

    Args:
        shifted: test units by seed.
        controls: the same for each control split; a control tests one half of the shifted split's parts.

    Returns:
        None without controls, where the seeds do not match, or where a half lacks a class: no gap, not a guess.
    """
    seeds = sorted(shifted)
    if not controls or not seeds or any(sorted(control) != seeds for control in controls):
        return None
    weight = 1 / (len(controls) * len(seeds))
    by_seed: dict[int, float] = {}
    terms: list[tuple[float, Components]] = []
    parts: set[str] = set()
    for seed in seeds:
        halves = []
        for control in controls:
            on_control, on_shifted = _same_units(control[seed], shifted[seed])
            if not (on_control.both_classes and on_shifted.both_classes):
                return None
            matched, moved = components(on_control), components(on_shifted)
            halves.append(matched.value - moved.value)
            terms += [(weight, matched), (-weight, moved)]
            parts |= set(matched.parts.tolist())
        by_seed[seed] = float(np.mean(halves))
    return Gap(by_seed, tuple(terms), frozenset(parts))


def _same_units(a: Units, b: Units) -> tuple[Units, Units]:
    return a.where(np.isin(a.unit, b.unit)), b.where(np.isin(b.unit, a.unit))
