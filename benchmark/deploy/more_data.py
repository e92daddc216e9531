"""A data set and further labelled pictures of the same kind as one, and splits that show what the further ones add."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.image_cache import content_hash
from reshift.splits.in_distribution import part_folds
from reshift.splits.protocol import Split
from reshift.splits.samples import validate_table


@dataclass(frozen=True)
class MoreData:
    """Two data sets as one.

    Attributes:
        earlier, further: each on its own, with the sample paths that it has in `both`.
    """

    earlier: Dataset
    further: Dataset
    both: Dataset


def join(earlier: Dataset, further: Dataset) -> MoreData:
    """Both data sets below the folder that holds both.

    Raises:
        DataError: a part's name or a picture is in both, so that test parts of one could train with the other.
        TableError: see `validate_table`.
    """
    root = Path(os.path.commonpath([earlier.root.resolve(), further.root.resolve()]))
    first, second = _moved(earlier, root), _moved(further, root)
    seen = dict(zip(first.table["content"], first.table["sample"], strict=True))
    for content, sample in zip(second.table["content"], second.table["sample"], strict=True):
        if content in seen:
            raise DataError(f"{further.name}: {sample} is the same picture as {seen[content]}; leave it out")
    if common := set(first.table["part"]) & set(second.table["part"]):
        raise DataError(
            f"{further.name}: part {min(common)!r} is a part of {earlier.name} too; give new parts names of their own, "
            f"and leave pictures of parts that were there before out"
        )
    name = f"{earlier.name}+{further.name}"
    table = validate_table(pd.concat([first.table, second.table], ignore_index=True), name)
    parts = earlier.parts if earlier.parts == further.parts else "inferred"
    notes = tuple(dict.fromkeys((*earlier.notes, *further.notes)))
    return MoreData(first, second, replace(earlier, name=name, root=root, table=table, parts=parts, notes=notes))


def paired_splits(data: MoreData, args: dict[str, Any], seed: int) -> Iterator[tuple[Split, Split]]:
    """In-distribution folds twice: trained on the earlier parts alone, and on the further ones too.

    Further parts are dealt to folds as the earlier ones are. A fold's test parts, of both kinds, are the same in both,
    and neither trains on any of them.

    Args:
        args: of `InDistribution`; `seed` its own.
    """
    dealt = (seed, args["folds"], args["folds_used"], args["val"])
    total = len(data.both.table)

    def split(name: str, train: tuple[str, ...], val: tuple[str, ...], test: tuple[str, ...]) -> Split:
        dropped = total - len(train) - len(val) - len(test)
        return Split(name, tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)), dropped=dropped)

    folds = zip(part_folds(data.earlier.table, *dealt), part_folds(data.further.table, *dealt), strict=True)
    for old, new in folds:
        test = (*old.test, *new.test)
        before = split(old.name, old.train, old.val, test)
        yield before, split(old.name, (*old.train, *new.train), (*old.val, *new.val), test)


def _moved(dataset: Dataset, root: Path) -> Dataset:
    """The same pictures with paths from another folder above them, and their content hashes."""
    below = dataset.root.resolve().relative_to(root)
    table = dataset.table.copy()
    if "content" not in table:
        table["content"] = [content_hash(dataset.root / sample) for sample in table["sample"]]
    alone = table["part"] == table["sample"]
    for column in {"sample", "mask"} & set(table.columns):
        table[column] = [(below / path).as_posix() if path else "" for path in table[column]]
    # A part that is called after its only picture goes on being so: other folders have pictures of the same names.
    table["part"] = table["part"].where(~alone, table["sample"])
    return replace(dataset, root=root, table=validate_table(table, dataset.name))
