"""Drawing: label-stratified shares and folds of groups, decided by hashes alone."""

from __future__ import annotations

import pandas as pd

from reshift.splits.protocol import hash_order, unit_hash


def check_share(name: str, share: float) -> float:
    """The share itself, if it lies strictly between 0 and 1; otherwise `ValueError`."""
    if not 0 < share < 1:
        raise ValueError(f"{name}={share!r} is not a share; give a number between 0 and 1")
    return share


def draw_share(frame: pd.DataFrame, share: float, seed: int, purpose: str) -> set[str]:
    """Groups that make up a share of each label's groups, small and large groups in proportion.

    Args:
        frame: one row a group with columns `label` and `images`, as `group_frame` makes it.
        share: in (0, 1); rounded to whole groups per label, at least one and never all where a label has two.
        purpose: names the draw; different purposes are independent.

    Returns:
        Names of the drawn groups. A label with a single group gives none.
    """
    drawn: set[str] = set()
    for _, rows in frame.groupby("label", sort=True):
        # Systematic sampling along the number of images: a draw of few groups then has its share of images too.
        rank = {name: place for place, name in enumerate(hash_order(seed, purpose, list(map(str, rows.index))))}
        images = dict(zip(map(str, rows.index), rows["images"].tolist(), strict=True))
        ordered = sorted(rank, key=lambda name: (images[name], rank[name]))
        total = len(ordered)
        wanted = min(max(int(share * total + 0.5), 1), total - 1)
        start = int(unit_hash(seed, purpose, "start") * total)
        drawn.update(
            name
            for place, name in enumerate(ordered)
            if ((place + 1) * wanted + start) // total > (place * wanted + start) // total
        )
    return drawn


def deal_folds(labels: pd.Series, folds: int, seed: int, purpose: str) -> list[set[str]]:
    """Names dealt to folds, each label in its own hash order; fold sizes differ by at most one per label.

    Args:
        labels: label of each name (a group or a sample), indexed by name.
    """
    dealt: list[set[str]] = [set() for _ in range(folds)]
    place = 0
    for label in sorted(set(labels.tolist())):
        # The deal goes on where the last label stopped, so that no fold collects every remainder.
        for name in hash_order(seed, purpose, list(map(str, labels.index[labels == label]))):
            dealt[place % folds].add(name)
            place += 1
    return dealt
