"""Official protocol: the split that a data set publishes with its images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pandas as pd

from reshift.splits.drawing import check_share, draw_share
from reshift.splits.groups import group_frame, with_groups
from reshift.splits.protocol import Protocol, Skip, Split
from reshift.splits.roles import build_split, usable_splits
from reshift.splits.samples import DEFECTIVE, GOOD
from reshift.splits.verify_noise import check_noise

ROLES = ("train", "val", "test")


class Official(Protocol):
    """The split that comes with the data; where it names no validation, a fifth of training becomes it.

    Follows the column `official_split`; what training gives up, it gives up by part. Where the published roles share a
    part or a picture, the split declares the broken invariant. Rows with an empty value have no role.

    Some benchmarks train on data that is partly defective and call all of it good, such as Real-IAD's fully
    unsupervised setting. With `train_as_good` every image of train and val is observed as good, whatever its label;
    the split then states the share of defective ones as its noise, and validation is drawn to have the same share.

    Args:
        val: share of the training parts that validate if the data set names no validation.
        train_as_good: observe every image of train and val as good.

    Raises:
        ValueError: a share outside (0, 1).
    """

    name: ClassVar[str] = "official"
    requires: ClassVar[tuple[str, ...]] = ("official_split",)

    def __init__(self, val: float = 0.2, train_as_good: bool = False) -> None:
        self.val = check_share("val", val)
        self.train_as_good = train_as_good

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """One split, `official`.

        Raises:
            Skip: the column names a role other than train, val and test; or, with `train_as_good`, train and val
                differ in their share of defective images, so that no one rate is true of both.
        """
        self.check_columns(table)
        unknown = sorted(set(table["official_split"].unique()) - {*ROLES, ""})
        if unknown:
            raise Skip(f"column 'official_split' has {unknown[0]!r}; {self.name} knows train, val and test")
        split = self._follow(with_groups(table), seed)
        problem = check_noise(split, table) if self.train_as_good else ""
        if problem:
            raise Skip(f"{self.name} cannot state one rate of noise for train and val: {problem}")
        yield from usable_splits(self.name, [split], table)

    def _follow(self, grouped: pd.DataFrame, seed: int) -> Split:
        train, val, test = (grouped[grouped["official_split"] == role] for role in ROLES)
        if val.empty:
            frame = group_frame(train)
            if self.train_as_good:
                # Nobody sees the labels, so they are no strata. Systematic sampling along a group's surplus of
                # defective images keeps the surplus of the draw, and with it the two rates, within one group.
                surplus = frame["defects"] - _rate(train) * frame["images"]
                frame = frame.assign(label=GOOD, images=surplus)
            validating = draw_share(frame, self.val, seed, "val")
            val = train[train["group"].isin(list(validating))]
            train = train[~train["group"].isin(list(validating))]
        roles = (train, val, test)
        trained = pd.concat([train, val])
        as_good = trained.loc[(trained["label"] == DEFECTIVE) & self.train_as_good, "sample"]
        rates = {"rate": _rate(trained), "achieved": _rate(train), "achieved_val": _rate(val)}
        return build_split(
            grouped,
            self.name,
            train=train["sample"],
            val=val["sample"],
            test=test["sample"],
            train_labels=dict.fromkeys(map(str, as_good), GOOD),
            noise={"kind": "contamination", "unit": "part", **rates} if self.train_as_good else None,
            breaks=tuple(
                invariant
                for invariant, column in (("parts", "part"), ("content", "content"))
                if column in grouped and _crosses(roles, column)
            ),
        )


def _rate(rows: pd.DataFrame) -> float:
    return float(rows["label"].mean())


def _crosses(roles: tuple[pd.DataFrame, ...], column: str) -> bool:
    values = pd.concat([role[column].drop_duplicates() for role in roles])
    return bool(values[values != ""].duplicated().any())
