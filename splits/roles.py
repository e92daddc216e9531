"""Roles: building a split from sample ids, and telling whether it can be run at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from reshift.splits.protocol import Skip, Split
from reshift.splits.samples import part_labels


def build_split(
    table: pd.DataFrame,
    name: str,
    *,
    train: Iterable[str],
    val: Iterable[str],
    test: Iterable[str],
    train_labels: Mapping[str, int] | None = None,
    held_out: tuple[str, str] | None = None,
    control_of: str = "",
    breaks: tuple[str, ...] = (),
    noise: Mapping[str, object] | None = None,
) -> Split:
    """A split with sorted roles that counts what it drops."""
    roles = [tuple(sorted(role)) for role in (train, val, test)]
    return Split(
        name=name,
        train=roles[0],
        val=roles[1],
        test=roles[2],
        train_labels=dict(sorted((train_labels or {}).items())),
        held_out=held_out,
        control_of=control_of,
        breaks=breaks,
        noise=dict(noise or {}),
        dropped=len(table) - sum(map(len, roles)),
    )


def why_unusable(split: Split, table: pd.DataFrame) -> str:
    """What keeps a split from being trained, validated and tested, with the numbers; "" if nothing does."""
    for role, samples in (("train", split.train), ("val", split.val), ("test", split.test)):
        if not samples:
            return f"'{split.name}' leaves no sample for {role}"
    # Over parts: the headline is the part level, and both classes there imply both at image level.
    labels = part_labels(table[table["sample"].isin(split.test)])
    if labels.nunique() < 2:
        only = "defective" if labels.iloc[0] else "good"
        return f"'{split.name}' would test {len(labels)} parts, all {only}"
    return ""


def usable_splits(
    protocol: str, candidates: Iterable[Split], table: pd.DataFrame, refused: Sequence[str] = ()
) -> Iterator[Split]:
    """Pass on the splits that can be run; controls only after the shifted split they belong to.

    Args:
        refused: what the protocol could not build, with the numbers; `candidates` may add to it on the way.

    Raises:
        Skip: not one split can be run, with the reason of each; or, once all others were yielded, what was refused.
    """
    passed: set[str] = set()
    reasons: list[str] = []
    for split in candidates:
        reason = why_unusable(split, table)
        if reason:
            reasons.append(reason)
        elif not split.control_of or split.control_of in passed:
            passed.add(split.name)
            yield split
    if not passed:
        raise Skip(f"{protocol} has no usable split: {'; '.join([*reasons, *refused]) or 'no value to hold out'}")
    if refused:
        raise Skip(f"{protocol} cannot reach {'; '.join(refused)}")
