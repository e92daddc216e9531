"""Decoded images of a data set on disk, once per size, shared by all cells and processes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reshift.datamodules.cache_folder import build_once, cache_root
from reshift.datamodules.dataset import PIPELINE_VERSION, DataError, Dataset
from reshift.datamodules.image_file import Pixels, read_image, to_square
from reshift.datamodules.progress import Progress


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
        DataError: the file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); restore it or take it out of the data") from error


def cached_images(dataset: Dataset, size: int, progress: Progress | None = None) -> CachedImages:
    """Decode and resize every image of the table, or open what an earlier call has left.

    The key is made of what the files hold, not of their names or dates, so moved data finds its cache and changed
    data never does.

    Raises:
        DataError: an image is missing, truncated or of a kind that is refused; or the cache cannot be written.
    """
    paths = [dataset.root / sample for sample in dataset.table["sample"]]
    if "content" in dataset.table:
        contents = tuple(map(str, dataset.table["content"]))
    else:
        contents = tuple(content_hash(path) for path in paths)
    digest = hashlib.sha256(f"{PIPELINE_VERSION}\x1f{cv2.__version__}\x1f{size}".encode())
    for content in contents:
        digest.update(f"\x1f{content}".encode())
    key = digest.hexdigest()

    def build(folder: Path) -> None:
        extent = np.zeros((len(paths), 2), dtype=np.float32)
        # Plain writes, not a writable map: a full disk is then an error here and not a bus error in a worker.
        with (folder / "pixels.npy").open("wb") as handle:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), size, size, 3)}
            np.lib.format.write_array_header_1_0(handle, header)
            for row, path in enumerate(paths):
                pixels = read_image(path)
                extent[row] = pixels.shape[:2]
                handle.write(np.ascontiguousarray(to_square(pixels, size)).data)
                if progress is not None:
                    progress(row + 1, len(paths))
        np.save(folder / "extent.npy", extent)

    folder = build_once(cache_root() / "images" / key, build)
    return CachedImages(
        key=key,
        contents=contents,
        pixels=np.load(folder / "pixels.npy", mmap_mode="r"),
        extent=np.load(folder / "extent.npy"),
    )
