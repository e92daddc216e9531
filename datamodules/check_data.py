"""What a data set holds, and what a person should know before numbers are made of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from reshift.datamodules.column_claims import column_claims
from reshift.datamodules.dataset import Dataset, Parts
from reshift.datamodules.frame_order import CLOSE, frame_order
from reshift.datamodules.mask_check import check_masks
from reshift.datamodules.near_duplicate_lines import near_duplicate_lines
from reshift.datamodules.near_duplicates import NearDuplicates, alike_by_hash
from reshift.datamodules.progress import Progress
from reshift.datamodules.survey import Survey, survey_pictures
from reshift.splits.samples import DEFECTIVE, GOOD, part_labels

NAMED = 5

_ORIGIN: dict[Parts, str] = {
    "given": "given by the data",
    "inferred": "inferred by the reader's rule, see below",
    "assumed": "assumed, one per image",
}


def check_data(
    dataset: Dataset,
    size: int,
    progress: Progress | None = None,
    *,
    survey: Survey | None = None,
    near: Sequence[NearDuplicates] | None = None,
) -> list[str]:
    """Report lines for a data set used at `size` pixels; lines that ask for attention start with "WARNING: ".

    In this order: counts, identical pictures, near-duplicates, files that cannot be read, masks and the size of
    defects, and what the columns can and cannot prove. Every image and mask is decoded.

    Args:
        survey: what `survey_pictures` found, for a caller that needs it too; None looks at the pictures here.
        near: near-duplicates by one or more measures; None compares the survey's hashes.
    """
    if survey is None:
        survey = survey_pictures(dataset, progress)
    if near is None:
        near = [alike_by_hash(dataset, survey)]
    table = dataset.table
    by_part = table.groupby("part").size()
    bad = int((part_labels(table) == DEFECTIVE).sum())
    return [
        f"{dataset.name}: {len(table)} images of {len(by_part)} parts under {dataset.root}",
        f"parts: {_ORIGIN[dataset.parts]}; {by_part.min()} to {by_part.max()} images each, {by_part.median():g} in the "
        f"median, {int((by_part == 1).sum())} with a single image",
        f"label: good {int((table['label'] == GOOD).sum())}, defective {int((table['label'] == DEFECTIVE).sum())} "
        f"(parts: good {len(by_part) - bad}, defective {bad})",
        *(_counts(table, column) for column in ("component", "defect", "transmission", "acquisition", "view")),
        *dataset.notes,
        *_duplicates(dataset),
        *(line for measure in near for line in near_duplicate_lines(dataset, measure)),
        *_frames(dataset, survey),
        *_files(survey, size),
        *check_masks(dataset, survey.extents, size),
        *column_claims(dataset),
    ]


def _counts(table: pd.DataFrame, column: str) -> str:
    counts = table.loc[table[column] != "", column].value_counts().sort_index()
    if counts.empty:
        return f"{column}: not given"
    shown = ", ".join(f"{value} {count}" for value, count in counts.head(20).items())
    rest = f" and {len(counts) - 20} more values" if len(counts) > 20 else ""
    return f"{column}: {shown}{rest}"


def _duplicates(dataset: Dataset) -> list[str]:
    if "content" not in dataset.table:
        return ["identical images: not checked, the reader gives no content hash"]
    groups = [group for _, group in dataset.table.groupby("content") if len(group) > 1]
    apart = [group for group in groups if group["part"].nunique() > 1 or group["label"].nunique() > 1]
    lines = [f"identical images: {len(groups)} pictures are stored more than once"]
    for group in apart[:NAMED]:
        lines.append(
            "WARNING: one picture under several parts or labels: "
            + ", ".join(f"{sample} ({label})" for sample, label in zip(group["sample"], group["label"], strict=True))
        )
    if len(apart) > NAMED:
        lines.append(f"WARNING: {len(apart) - NAMED} more pictures under several parts or labels")
    return lines


def _frames(dataset: Dataset, survey: Survey) -> list[str]:
    """Where parts are assumed: whether pictures that follow each other seem to show one object."""
    if dataset.parts != "assumed":
        return []
    order = frame_order(dataset, survey)
    if not order.neighbours:
        return ["frame order: not checked, since neither times nor numbers in the names order the pictures of a folder"]
    text = (
        f"frame order: {order.close} of {order.neighbours} pictures that follow each other by {order.by} are closer "
        f"than {1 - CLOSE:.0%} of pictures far apart in that order; {CLOSE * order.neighbours:.0f} are by chance"
    )
    if not order.suspect:
        return [text]
    return [f"WARNING: {text}: neighbours seem to show one object, so name it in a column 'part'"]


def _files(survey: Survey, size: int) -> list[str]:
    extents = [extent for extent in survey.extents if extent is not None]
    if extents:
        (low, left), (high, right) = np.min(extents, axis=0).tolist(), np.max(extents, axis=0).tolist()
        shape = f"height {low} to {high}, width {left} to {right} pixels; used as {size} x {size} without cropping"
    else:
        shape = "no image can be read"
    lines = [f"size: {shape}"]
    if survey.unreadable:
        lines.append(f"WARNING: {len(survey.unreadable)} images cannot be used")
        lines += [f"WARNING: {reason}" for reason in survey.unreadable[:NAMED]]
    return lines
