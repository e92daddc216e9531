"""Masks of a data set on disk at the size of its cached images: where each defective picture shows its defect."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reshift.datamodules.array_file import open_array, write_array
from reshift.datamodules.augment import COPIES_SEED, augmented_with_mask
from reshift.datamodules.cache_limit import open_limited
from reshift.datamodules.dataset import PIPELINE_VERSION, DataError, Dataset
from reshift.datamodules.image_cache import CachedImages, content_hash
from reshift.datamodules.image_file import Pixels, read_mask
from reshift.datamodules.progress import Progress
from reshift.datamodules.rows import ABSENT
from reshift.datamodules.test_shift import shift_transform
from reshift.splits.samples import DEFECTIVE

ASPECT_TOLERANCE = 0.02
"""How far height over width of a mask may be from its image's: both were resized, and sides are whole pixels."""


@dataclass(frozen=True)
class CachedMasks:
    """Masks of the defective images of a data set; a good image has none, whatever its mask file shows.

    Attributes:
        key: changes when any mask, image, the size or the pipeline changes.
        stored: (K, size, size) uint8 in {0, 1}, a read-only memory map.
        place: (N,) where the mask of each row of the sample table stands in `stored`, `ABSENT` without one.
    """

    key: str
    stored: Pixels
    place: NDArray[np.int64]

    def of(self, rows: NDArray[np.int64]) -> Pixels:
        """Masks (R, size, size) of these rows of the sample table, zeros for a row without one."""
        found = np.zeros((len(rows), *self.stored.shape[1:]), dtype=np.uint8)
        there = self.place[rows] != ABSENT
        found[there] = self.stored[self.place[rows[there]]]
        return found


def without_mask(table: pd.DataFrame, samples: Collection[str]) -> list[str]:
    """Which of the samples are defective and have no mask file, in the table's order."""
    chosen = table[table["sample"].isin(samples) & (table["label"] == DEFECTIVE)]
    return list(chosen["sample"] if "mask" not in table else chosen.loc[chosen["mask"] == "", "sample"])


def masks_hash(dataset: Dataset) -> str:
    """Sha256 over the mask files of the defective images, which the table's fingerprint knows by their paths only.

    Raises:
        DataError: a mask cannot be read.
    """
    digest = hashlib.sha256()
    for row, path in zip(*_marked(dataset), strict=True):
        digest.update(f"{dataset.table['sample'].iloc[row]}\x1f{content_hash(path)}\x1f".encode())
    return digest.hexdigest()


def cached_masks(dataset: Dataset, images: CachedImages, progress: Progress | None = None) -> CachedMasks:
    """Read and resize the mask of every defective image that has one, or open what an earlier call has left.

    Raises:
        DataError: a mask is missing, unreadable or not of its image's shape; or the cache cannot be written.
    """
    rows, paths = _marked(dataset)
    text = f"{PIPELINE_VERSION}\x1f{cv2.__version__}\x1f{images.key}\x1f{masks_hash(dataset)}"
    key = hashlib.sha256(text.encode()).hexdigest()

    def squares() -> Iterator[Pixels]:
        for number, (row, path) in enumerate(zip(rows, paths, strict=True)):
            mask = read_mask(path)
            _check_aspect(path, mask.shape, images.extent[row])
            yield mask_to_square(mask, images.size)
            if progress is not None:
                progress(number + 1, len(paths))

    def build(folder: Path) -> None:
        write_array(folder / "masks.npy", "|u1", (len(rows), images.size, images.size), squares())

    place = np.full(len(dataset.table), ABSENT, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    stored = open_limited("masks", key, build, lambda folder: open_array(folder / "masks.npy"))
    return CachedMasks(key, stored, place)


def disturbed_masks(images: CachedImages, rows: NDArray[np.int64], masks: Pixels, shift: tuple[str, int]) -> Pixels:
    """`masks` (R, size, size) of these rows of the sample table, moved as `test_shift.disturbed` moves their images."""
    kind, severity = shift
    transform = shift_transform(kind, severity, images.size)
    moved = np.empty_like(masks)
    for place, row in enumerate(rows):
        key = (COPIES_SEED, images.contents[row], severity)
        _, moved[place] = augmented_with_mask(images.pixels[row], masks[place], transform, *key)
    return moved


def mask_to_square(mask: NDArray[np.bool_], size: int) -> Pixels:
    """Resize a mask as `to_square` resizes its image, (size, size) uint8 in {0, 1}.

    Where sides shrink, a pixel counts as soon as the defect touches it (area > 0), so that the smallest defect stays;
    a defect thus grows by up to a pixel on each side. Where they grow, the nearest pixel is taken.
    """
    height, width = mask.shape
    share = mask.astype(np.float32)
    shrunk = min(width, size), min(height, size)
    if shrunk != (width, height):
        share = np.asarray(cv2.resize(share, shrunk, interpolation=cv2.INTER_AREA), dtype=np.float32)
    touched = (share > 0).astype(np.uint8)
    if shrunk != (size, size):
        # Plain INTER_NEAREST samples at a pixel's corner and would shift the mask against its image.
        touched = np.asarray(cv2.resize(touched, (size, size), interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8)
    return np.ascontiguousarray(touched)


def _marked(dataset: Dataset) -> tuple[NDArray[np.int64], list[Path]]:
    """Rows of the defective images that have a mask file, and the files."""
    table = dataset.table
    given = (table["label"] == DEFECTIVE) & (table["mask"] != "") if "mask" in table else table["label"] < 0
    rows = np.flatnonzero(given.to_numpy()).astype(np.int64)
    return rows, [dataset.root / table["mask"].iloc[row] for row in rows]


def _check_aspect(path: Path, mask: tuple[int, ...], image: NDArray[np.float32]) -> None:
    aspect = mask[0] / mask[1] / float(image[0] / image[1])
    if abs(aspect - 1) > ASPECT_TOLERANCE:
        raise DataError(
            f"{path}: the mask has {mask[0]} x {mask[1]} pixels, its image {image[0]:.0f} x {image[1]:.0f}; "
            f"give a mask of the image's shape"
        )
