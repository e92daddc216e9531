"""A protocol of one's own: what do models reach that saw only a handful of defective parts?"""

from collections.abc import Iterator

import pandas as pd

from reshift.splits.protocol import Protocol, Skip, Split, hash_order
from reshift.splits.samples import part_labels


class FewDefects(Protocol):
    """Train on all good parts outside the test and on `known` defective ones; whole parts, drawn by hash.

    Half of the parts of each class are tested, a quarter validate; the other defective ones are dropped and counted.
    """

    name = "few_defects"

    def __init__(self, known: int = 3) -> None:
        self.known = known

    def splits(self, table: pd.DataFrame, seed: int) -> Iterator[Split]:
        label = part_labels(table)
        roles: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for value in (0, 1):
            # Depends on seed and names alone: no other order of rows, and no other machine, gives another split.
            parts = hash_order(seed, "few_defects", [p for p in label.index if label[p] == value])
            quarter = len(parts) // 4
            roles["val"] += parts[:quarter]
            roles["test"] += parts[quarter : 3 * quarter]
            rest = parts[3 * quarter :]
            needed = self.known if value == 1 else 1
            if quarter < 1 or len(rest) < needed:
                raise Skip(f"of {len(parts)} parts of label {value}, {len(rest)} are left to train on; need {needed}")
            roles["train"] += rest if value == 0 else rest[: self.known]
        taken = {role: tuple(sorted(table.loc[table["part"].isin(p), "sample"])) for role, p in roles.items()}
        dropped = len(table) - sum(map(len, taken.values()))
        yield Split(f"known={self.known}", taken["train"], taken["val"], taken["test"], dropped=dropped)
