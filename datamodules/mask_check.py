"""What the masks of a data set show, and how large its defects are once pictures are resized."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.image_file import read_mask
from reshift.splits.samples import DEFECTIVE, GOOD

SMALLEST_DEFECT = 6.0
"""Pixels a defect should measure after resizing; below that a model is asked for what is no longer in the image."""

NAMED = 5


def check_masks(dataset: Dataset, extents: Sequence[tuple[int, int] | None], size: int) -> list[str]:
    """Report lines; those that ask for attention start with "WARNING: ".

    A defect's size is the square root of the area of the largest connected piece of its mask, after resizing to
    `size`; the warning looks at the tenth percentile over masks.

    Args:
        extents: height and width of each picture in the row order of the table; None where it cannot be read.
    """
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
