"""Official protocol: the split that a data set publishes with its images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pandas as pd

from reshift.splits.drawing import check_share, draw_share
from reshift.splits.groups import group_frame, with_groups
from reshift.splits.protocol import Protocol, Skip, Split
from reshift.splits.roles import build_split, usable_splits

ROLES = ("train", "val", "test")


class Official(Protocol):
    """Follow the column `official_split`; without validation there, 20 % of train is given up, by part.

    Where the published roles share a part or a picture, the split declares the broken invariant. Rows with an empty
    value have no role.

    Args:
        val: share of the training parts that validate if the data set names no validation.

    Raises:
        ValueError: a share outside (0, 1).
    """

    name: ClassVar[str] = "official"
    requires: ClassVar[tuple[str, ...]] = ("official_split",)

    def __init__(self, val: float = 0.2) -> None:
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """One split, `official`.

        Raises:
            Skip: the column names a role other than train, val and test.
        """
        self.check_columns(table)
        unknown = sorted(set(table["official_split"]) - {*ROLES, ""})
        if unknown:
            raise Skip(f"column 'official_split' has {unknown[0]!r}; {self.name} knows train, val and test")
        yield from usable_splits(self.name, [self._follow(with_groups(table), seed)], table)

    def _follow(self, grouped: pd.DataFrame, seed: int) -> Split:
        train, val, test = (grouped[grouped["official_split"] == role] for role in ROLES)
        if val.empty:
            validating = draw_share(group_frame(train), self.val, seed, "val")
            val = train[train["group"].isin(list(validating))]
            train = train[~train["group"].isin(list(validating))]
        roles = (train, val, test)
        return build_split(
            grouped,
            self.name,
            train=train["sample"],
            val=val["sample"],
            test=test["sample"],
            breaks=tuple(
                invariant
                for invariant, column in (("parts", "part"), ("content", "content"))
                if column in grouped and _crosses(roles, column)
            ),
        )


def _crosses(roles: tuple[pd.DataFrame, ...], column: str) -> bool:
    values = [name for role in roles for name in set(role[column]) - {""}]
    return len(values) != len(set(values))
