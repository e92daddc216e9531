"""Drawing: label-stratified shares and folds of groups, decided by hashes alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.splits.protocol import unit_hash, unit_hashes, utf8


def check_share(name: str, share: float) -> float:
    """The share itself, if it lies strictly between 0 and 1; otherwise `ValueError`."""
    if not 0 < share < 1:
        raise ValueError(f"{name}={share!r} is not a share; give a number between 0 and 1")
    return share


def draw_share(frame: pd.DataFrame, share: float, seed: int, purpose: str) -> set[str]:
    """Groups that make up a share of each label's groups, small and large groups in proportion.

    Args:
        frame: one row a group with columns `label` and `images`, as `group_frame` makes it, sorted by name.
        share: in (0, 1); rounded to whole groups per label, at least one and never all where a label has two.
        purpose: names the draw; different purposes are independent.

    Returns:
        Names of the drawn groups. A label with a single group gives none.
    """
    names = np.array(frame.index.tolist(), dtype=object)
    labels, images = frame["label"].to_numpy(), frame["images"].to_numpy()
    return set(names[draw_mask(utf8(names.tolist()), labels, images, share, seed, purpose)])


def draw_mask(
    names: NDArray[np.object_], labels: NDArray[Any], images: NDArray[Any], share: float, seed: int, purpose: str
) -> NDArray[np.bool_]:
    """`draw_share` of groups given as arrays, (G,) each, sorted by name (`utf8`): which of them are drawn."""
    drawn = np.zeros(len(names), dtype=np.bool_)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        # Systematic sampling along the number of images: a draw of few groups then has its share of images too.
        ordered = own[np.lexsort((unit_hashes(seed, purpose, names[own]), images[own]))]
        total = len(ordered)
        wanted = min(max(int(share * total + 0.5), 1), total - 1)
        start = int(unit_hash(seed, purpose, "start") * total)
        reached = (np.arange(total + 1) * wanted + start) // total
        drawn[ordered[reached[1:] > reached[:-1]]] = True
    return drawn


def deal_folds(labels: pd.Series, folds: int, seed: int, purpose: str) -> list[set[str]]:
    """Names dealt to folds, each label in its own hash order; fold sizes differ by at most one per label.

    Args:
        labels: label of each name (a group or a sample), indexed by name.
    """
    ordered = labels.sort_index()
    names = np.array(ordered.index.tolist(), dtype=object)
    dealt = deal_numbers(utf8(names.tolist()), ordered.to_numpy(), folds, seed, purpose)
    return [set(names[dealt == fold]) for fold in range(folds)]


def deal_numbers(
    names: NDArray[np.object_], labels: NDArray[Any], folds: int, seed: int, purpose: str
) -> NDArray[np.int64]:
    """`deal_folds` of names given as an array, sorted (`utf8`): the fold of each."""
    fold = np.empty(len(names), dtype=np.int64)
    place = 0
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        # The deal goes on where the last label stopped, so that no fold collects every remainder.
        ordered = own[np.argsort(unit_hashes(seed, purpose, names[own]), kind="stable")]
        fold[ordered] = (place + np.arange(len(own))) % folds
        place += len(own)
    return fold
