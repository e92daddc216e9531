"""What a data set holds, and what a person should know before numbers are made of it."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.image_file import read_image, read_mask
from reshift.datamodules.progress import Progress
from reshift.splits.samples import DEFECTIVE, GOOD, part_labels

SMALLEST_DEFECT = 6.0
"""Pixels a defect should measure after resizing; below that a model is asked for what is no longer in the image."""

NAMED = 5


def check_data(dataset: Dataset, size: int, progress: Progress | None = None) -> list[str]:
    """Report lines for a data set used at `size` pixels; lines that ask for attention start with "WARNING: ".

    Every image and mask is decoded. A defect's size is the square root of the area of the largest connected piece of
    its mask, after resizing; the warning looks at the tenth percentile over masks.
    """
    table = dataset.table
    by_part = table.groupby("part").size()
    bad = int((part_labels(table) == DEFECTIVE).sum())
    lines = [
        f"{dataset.name}: {len(table)} images of {len(by_part)} parts under {dataset.root}",
        f"parts: {dataset.parts}; {by_part.min()} to {by_part.max()} images each, {by_part.median():g} in the median",
        f"label: good {int((table['label'] == GOOD).sum())}, defective {int((table['label'] == DEFECTIVE).sum())} "
        f"(parts: good {len(by_part) - bad}, defective {bad})",
        *(_counts(table, column) for column in ("component", "defect", "transmission", "acquisition", "view")),
        *(note for note in dataset.notes),
        *_duplicates(dataset),
    ]
    extents: list[tuple[int, int] | None] = []
    unreadable: list[str] = []
    for row, sample in enumerate(table["sample"]):
        try:
            height, width = read_image(dataset.root / sample).shape[:2]
            extents.append((height, width))
        except DataError as error:
            extents.append(None)
            unreadable.append(str(error))
        if progress is not None:
            progress(row + 1, len(table))
    lines.append(_extents([extent for extent in extents if extent is not None], size))
    if unreadable:
        lines.append(f"WARNING: {len(unreadable)} images cannot be used")
        lines += [f"WARNING: {reason}" for reason in unreadable[:NAMED]]
    return lines + _masks(dataset, extents, size)


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


def _extents(extents: list[tuple[int, int]], size: int) -> str:
    if not extents:
        return "size: no image can be read"
    (low, left), (high, right) = np.min(extents, axis=0).tolist(), np.max(extents, axis=0).tolist()
    return f"size: height {low} to {high}, width {left} to {right} pixels; used as {size} x {size} without cropping"


def _masks(dataset: Dataset, extents: list[tuple[int, int] | None], size: int) -> list[str]:
    table = dataset.table
    if "mask" not in table or not (table["mask"] != "").any():
        return ["masks: none given, so defect sizes are unknown"]
    empty, misfit, marked_good, sizes = [], [], [], []
    broken: list[str] = []
    for sample, name, label, extent in zip(table["sample"], table["mask"], table["label"], extents, strict=True):
        if not name or extent is None:
            continue
        try:
            mask = read_mask(dataset.root / name)
        except DataError as error:
            broken.append(str(error))
            continue
        if mask.shape != extent:
            misfit.append(sample)
        if label == GOOD:
            if mask.any():
                marked_good.append(sample)
        elif mask.any():
            sizes.append(_size(mask, size))
        else:
            empty.append(sample)
    without = int(((table["label"] == DEFECTIVE) & (table["mask"] == "")).sum())
    lines = [
        f"masks: {len(sizes)} show a defect, {without} defective images have none; labels stand, whatever masks show"
    ]
    for what, samples in (
        ("defective images have an empty mask", empty),
        ("good images have a mask that is not empty", marked_good),
        ("masks differ in size from their image", misfit),
        ("masks cannot be read", broken),
    ):
        if samples:
            rest = ", ..." if len(samples) > NAMED else ""
            lines.append(f"WARNING: {len(samples)} {what}: {', '.join(samples[:NAMED])}{rest}")
    if sizes:
        tenth = float(np.quantile(sizes, 0.1))
        text = f"the smallest tenth of defects measures at most {tenth:.1f} pixels at size {size}"
        lines.append(
            f"defects: {text}"
            if tenth >= SMALLEST_DEFECT
            else f"WARNING: {text}, under {SMALLEST_DEFECT:g}; use a larger size"
        )
    return lines


def _size(mask: NDArray[np.bool_], size: int) -> float:
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    area = float(stats[1:, cv2.CC_STAT_AREA].max())
    height, width = mask.shape
    return float(np.sqrt(area * (size / height) * (size / width)))
