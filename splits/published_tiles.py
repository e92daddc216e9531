"""Published-tiles protocol: the image-level split of the magnetic tiles that DifferNet's authors published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import ClassVar

import pandas as pd

from reshift.splits.drawing import check_share
from reshift.splits.protocol import Protocol, Skip, Split, hash_order
from reshift.splits.roles import build_split, usable_splits
from reshift.splits.samples import GOOD


class PublishedTiles(Protocol):
    """DifferNet's split of the magnetic tiles, which leaks: one tile is in training and test (Rudolph et al. 2021).

    Good images only train, all others are tested; exposures of one tile stand on both sides. The split leaks and says
    so in `breaks`; it exists beside the tile-disjoint boards to show the difference. The authors name no validation, so
    a share of the training images is given up for it.

    Args:
        train_list: text file with the authors' training file names, one a line. Without it, or where it is not on
            this machine, a seeded hash draws as many: four good images of five, 761 of 952 tiles.
        val: share of the training images that validate.

    Raises:
        ValueError: a share outside (0, 1).
    """

    name: ClassVar[str] = "published_tiles"

    def __init__(self, train_list: str | None = None, val: float = 0.2) -> None:
        self.train_list = train_list
        self.val = check_share("val", val)

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        """One split, named `published` where the list was read and `seeded_hash` where it was not.

        Raises:
            Skip: the list names a file that is no good image of this table.
        """
        good = [str(sample) for sample in table.loc[table["label"] == GOOD, "sample"]]
        if self.train_list is not None and Path(self.train_list).is_file():
            name, training = "published", _listed(Path(self.train_list), good)
        else:
            name, training = "seeded_hash", hash_order(seed, "published tiles", good)[: len(good) * 4 // 5]
        order = hash_order(seed, "val", training)
        given_up = int(self.val * len(order) + 0.5)
        split = build_split(
            table,
            name,
            train=order[given_up:],
            val=order[:given_up],
            test=set(map(str, table["sample"])) - set(training),
            breaks=("parts", "content"),
        )
        yield from usable_splits(self.name, [split], table)


def _listed(path: Path, good: list[str]) -> list[str]:
    names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    samples = {PurePosixPath(sample).name: sample for sample in good}
    missing = [name for name in names if name not in samples]
    if missing or len(samples) != len(good):
        problem = f"{missing[0]!r} is no good image of this table" if missing else "file names are not unique"
        raise Skip(f"{path}: {problem} ({len(missing)} of {len(names)} not found); give the list of this data set")
    return [samples[name] for name in names]
