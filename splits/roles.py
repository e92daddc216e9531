"""Roles: building a split from sample ids, and telling whether it can be run at all."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from reshift.splits.protocol import Skip, Split
from reshift.splits.samples import DEFECTIVE, part_labels

_LOOKS = 200


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
    # As a list first: the items of a text column are slow to come by one by one.
    lists = (role.tolist() if isinstance(role, pd.Series) else role for role in (train, val, test))
    roles = [tuple(sorted(role)) for role in lists]
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


class _PlainlyUsable:
    """Tells at a few looks that a split can be run, for most of those that can."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._samples = table["sample"].tolist()
        self._parts = table["part"].to_numpy(dtype=object)
        self._defective = table["label"].to_numpy() == DEFECTIVE
        self._defective_parts = set(self._parts[self._defective])

    def __call__(self, split: Split) -> bool:
        """Whether all roles have samples, and test a defective one and one of a part without any in the table."""
        looks = split.test[:: len(split.test) // _LOOKS + 1]
        rows = [min(bisect_left(self._samples, look), len(self._samples) - 1) for look in looks]
        return bool(
            split.train
            and split.val
            # Where the table is not sorted, other samples are found, and nothing is plain.
            and all(self._samples[row] == look for row, look in zip(rows, looks, strict=True))
            and any(self._defective[rows])
            and any(part not in self._defective_parts for part in self._parts[rows])
        )


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
    plainly_usable = _PlainlyUsable(table)
    for split in candidates:
        reason = "" if plainly_usable(split) else why_unusable(split, table)
        if reason:
            reasons.append(reason)
        elif not split.control_of or split.control_of in passed:
            passed.add(split.name)
            yield split
    if not passed:
        raise Skip(f"{protocol} has no usable split: {'; '.join([*reasons, *refused]) or 'no value to hold out'}")
    if refused:
        raise Skip(f"{protocol} cannot reach {'; '.join(refused)}")
