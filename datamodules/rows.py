"""What a batch row stands for: one image, or one part with its views in fixed slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.splits.protocol import Split

Role = Literal["train", "val", "test", "calibration"]
Views = Literal["one", "all"]

ROW_COLUMNS = (
    "sample",
    "part",
    "view",
    "role",
    "label",
    "observed_label",
    "component",
    "defect",
    "transmission",
    "acquisition",
)

ABSENT = -1


@dataclass(frozen=True)
class Rows:
    """Rows of one role, sorted by sample or part.

    Attributes:
        frame: `ROW_COLUMNS`, one row a batch row. For parts `sample` is the part, `view` is "", labels are those of
            any of its samples in this role, and the other texts join the distinct values with "+".
        images: (R, V) int64 row numbers of the sample table, `ABSENT` where a part lacks a view; V is 1 for images.
    """

    frame: pd.DataFrame
    images: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)


def view_slots(table: pd.DataFrame) -> NDArray[np.int64]:
    """Slot of each image among its part's views, (N,): the rank of its view id in the whole table.

    A slot that is taken (two images of one view) or beyond the largest number of images a part has gives way to the
    part's first free slot.
    """
    rank = {view: slot for slot, view in enumerate(sorted(table["view"].unique()))}
    most = int(table.groupby("part").size().max())
    slots = np.full(len(table), ABSENT, dtype=np.int64)
    wanted = table["view"].map(rank).to_numpy(dtype=np.int64)
    ordered = table.assign(_row=np.arange(len(table)), _slot=wanted).sort_values(["part", "view", "sample"])
    placed = (ordered["_slot"] < most) & ~ordered.duplicated(["part", "_slot"])
    slots[ordered.loc[placed, "_row"]] = ordered.loc[placed, "_slot"]
    # Only parts with a row that lost its slot are walked through: there are 30,000 parts in a large set.
    crowded = ordered["part"].isin(ordered.loc[~placed, "part"])
    for _, part in ordered[crowded].groupby("part", sort=True):
        rows = part["_row"].to_numpy()
        taken = set(slots[rows].tolist())
        free = (slot for slot in range(most) if slot not in taken)
        for row in rows[slots[rows] == ABSENT]:
            slots[row] = next(free)
    return slots


def rows_of(table: pd.DataFrame, split: Split, role: Role, views: Views) -> Rows:
    """Rows of a role; a part that a leaky split puts into two roles has a row in each, with its images of that role."""
    members = set(getattr(split, role))
    chosen = np.flatnonzero(table["sample"].isin(members).to_numpy())
    frame = table.iloc[chosen].assign(role=role)
    frame["observed_label"] = split.observed_labels(frame).to_numpy() if split.train_labels else frame["label"]
    if views == "one":
        return Rows(frame[list(ROW_COLUMNS)].reset_index(drop=True), chosen[:, None].astype(np.int64))
    slots = view_slots(table)
    parts, row_of = np.unique(frame["part"].to_numpy(dtype=str), return_inverse=True)
    images = np.full((len(parts), int(slots.max()) + 1), ABSENT, dtype=np.int64)
    images[row_of, slots[chosen]] = chosen
    grouped = frame.groupby("part", sort=True)
    texts = ("component", "defect", "transmission", "acquisition")
    joined = grouped.agg(
        {
            "label": "max",
            "observed_label": "max",
            **{column: _joined for column in texts},
        }
    ).reset_index()
    joined = joined.assign(sample=joined["part"], view="", role=role)
    return Rows(joined[list(ROW_COLUMNS)], images)


def row_weights(rows: Rows, table: pd.DataFrame, weights: Mapping[str, float] | None) -> NDArray[np.float32]:
    """Weight of each row, (R,): its samples' smallest, 1 for a sample that `weights` does not name."""
    if not weights:
        return np.ones(len(rows), dtype=np.float32)
    of_image = np.array([weights.get(sample, 1.0) for sample in table["sample"]], dtype=np.float32)
    of_slot = np.where(rows.images == ABSENT, np.float32(np.inf), of_image[rows.images])
    return np.asarray(of_slot.min(axis=1), dtype=np.float32)


def _joined(values: pd.Series) -> str:
    return "+".join(sorted({value for value in values if value}))
