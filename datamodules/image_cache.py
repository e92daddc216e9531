"""Decoded images of a data set on disk, once per size, shared by all cells and processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reshift.datamodules.array_file import open_array, write_array
from reshift.datamodules.cache_limit import open_limited
from reshift.datamodules.dataset import PIPELINE_VERSION, DataError, Dataset
from reshift.datamodules.image_file import Pixels, image_bytes, read_image, to_square
from reshift.datamodules.progress import Progress, tracked


@dataclass(frozen=True)
class CachedImages:
    """Images of a data set in the row order of its table.

    Attributes:
        key: changes when any image, the size or the pipeline changes.
        contents: content hash of each image, (N,).
        pixels: (N, size, size, 3) uint8 RGB, a read-only memory map.
        extent: (N, 2) float32 height and width of the files before they were resized.
    """

    key: str
    contents: tuple[str, ...]
    pixels: Pixels
    extent: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Side of the squares in pixels."""
        return int(self.pixels.shape[1])


def content_hash(path: Path) -> str:
    """Sha256 of the file's bytes.

    Raises:
        DataError: see `image_bytes`.
    """
    return hashlib.sha256(image_bytes(path)).hexdigest()


def content_hashes(root: Path, samples: Iterable[str], dataset: str) -> list[str]:
    """`content_hash` of every sample of a data set under its root, with progress on stderr.

    Raises:
        DataError: see `image_bytes`.
    """
    return [content_hash(root / sample) for sample in tracked(list(samples), f"{dataset}: reading")]


def cached_images(dataset: Dataset, size: int, progress: Progress | None = None) -> CachedImages:
    """Decode and resize every image of the table, or open what an earlier call has left.

    The key is made of what the files hold, not of their names or dates, so moved data finds its cache and changed
    data never does.

    Raises:
        DataError: an image is missing, truncated, of a kind that is refused, or not the one whose content hash the
            table states; or the cache cannot be written.
    """
    paths = [dataset.root / sample for sample in dataset.table["sample"]]
    stated = list(map(str, dataset.table["content"])) if "content" in dataset.table else [""] * len(paths)
    contents = tuple(
        content or content_hash(path) for content, path in zip(stated, tracked(paths, "reading pictures"), strict=True)
    )
    digest = hashlib.sha256(f"{PIPELINE_VERSION}\x1f{cv2.__version__}\x1f{size}".encode())
    for content in contents:
        digest.update(f"\x1f{content}".encode())
    key = digest.hexdigest()

    def build(folder: Path) -> None:
        extent = np.zeros((len(paths), 2), dtype=np.float32)

        def squares() -> Iterator[Pixels]:
            for row, (path, content) in enumerate(zip(paths, contents, strict=True)):
                pixels = read_image(path)
                _check_unchanged(path, content)
                extent[row] = pixels.shape[:2]
                yield to_square(pixels, size)
                if progress is not None:
                    progress(row + 1, len(paths))

        write_array(folder / "pixels.npy", "|u1", (len(paths), size, size, 3), squares())
        write_array(folder / "extent.npy", "<f4", extent.shape, [extent])

    def opened(folder: Path) -> CachedImages:
        pixels, extent = open_array(folder / "pixels.npy"), open_array(folder / "extent.npy")
        return CachedImages(key, contents, pixels, np.array(extent))

    return open_limited("images", key, build, opened)


def _check_unchanged(path: Path, content: str) -> None:
    """A long-lived process may decode long after its table was read; the key must not name what is no longer there."""
    if content_hash(path) != content:
        raise DataError(
            f"{path}: its sha256 is not the content hash in the table; if the file changed since the table was read, "
            f"start again; a reader's own hash must be image_cache.content_hash"
        )
