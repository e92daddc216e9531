"""A picture of one part: all its views in a row, the defect framed where a mask shows it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.image_file import read_image, read_mask, to_square

MARGIN = 6  # pixels between the defect and its frame
FRAME = (40, 220, 40)


def contact_sheet(dataset: Dataset, part: str, size: int = 192) -> NDArray[np.uint8]:
    """Views of a part side by side, (size, V * size, 3) uint8 RGB.

    Raises:
        DataError: the data set has no such part, or a picture cannot be read.
    """
    rows = dataset.table[dataset.table["part"] == part].sort_values(["view", "sample"])
    if rows.empty:
        raise DataError(f"{dataset.name}: no part {part!r}; name one of {sorted(dataset.table['part'])[:3]}, ...")
    views = []
    for sample, mask in zip(rows["sample"], rows.get("mask", [""] * len(rows)), strict=True):
        picture = to_square(read_image(dataset.root / sample), size).copy()
        if mask:
            _frame(picture, read_mask(dataset.root / mask))
        views.append(picture)
    return np.hstack(views)


def _frame(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    rows, columns = np.nonzero(mask)
    scale = len(picture) / np.array(mask.shape)
    top, bottom = rows.min() * scale[0] - MARGIN, rows.max() * scale[0] + MARGIN
    left, right = columns.min() * scale[1] - MARGIN, columns.max() * scale[1] + MARGIN
    cv2.rectangle(picture, (int(left), int(top)), (int(right), int(bottom)), FRAME, 1, cv2.LINE_AA)


def main(arguments: Sequence[str]) -> None:
    """`contact_sheet OUT.png PART`: a part of the embedded data at 192 px."""
    from reshift.datamodules.synthetic_gearbox import SyntheticGearbox

    sheet = contact_sheet(SyntheticGearbox(parts=20, size=192).read(), arguments[1])
    cv2.imwrite(str(Path(arguments[0])), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main(sys.argv[1:])
