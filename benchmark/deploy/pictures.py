"""Pictures of what is scored, read and resized exactly as training did; what cannot be read has its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from reshift.benchmark.deploy.units import Unit
from reshift.datamodules.dataset import DataError
from reshift.datamodules.image_cache import CachedImages, content_hash
from reshift.datamodules.image_file import Pixels, read_image, to_square
from reshift.datamodules.rows import ABSENT


@dataclass(frozen=True)
class Readable:
    """The units whose pictures could all be read.

    Attributes:
        images: their pictures, exactly as training saw its own.
        slots: which of `images` is in each slot of each unit, (R, V), `ABSENT` where a view is.
        errors: a line for each of the other units, by name.
    """

    units: list[Unit]
    images: CachedImages
    slots: NDArray[np.int64]
    errors: dict[str, str]


def read_units(units: Sequence[Unit], size: int) -> Readable:
    """Read and resize the pictures of units to squares of side `size`."""
    kept: list[Unit] = []
    slots: list[list[int]] = []
    contents: list[str] = []
    squares: list[Pixels] = []
    extent: list[tuple[int, int]] = []
    errors: dict[str, str] = {}
    for unit in units:
        try:
            found = [None if path is None else (content_hash(path), read_image(path)) for path in unit.files]
        except DataError as error:
            errors[unit.name] = str(error)
            continue
        except (cv2.error, MemoryError) as error:  # a file may claim any number of pixels
            errors[unit.name] = f"{unit.name}: cannot be decoded ({error}); save it smaller, or leave it out"
            continue
        row: list[int] = []
        for picture in found:
            row.append(ABSENT if picture is None else len(contents))
            if picture is not None:
                content, pixels = picture
                contents.append(content)
                extent.append((pixels.shape[0], pixels.shape[1]))
                squares.append(to_square(pixels, size))
        kept.append(unit)
        slots.append(row)
    stacked = np.stack(squares) if squares else np.empty((0, size, size, 3), np.uint8)
    images = CachedImages("", tuple(contents), stacked, np.array(extent, np.float32).reshape(-1, 2))
    return Readable(kept, images, np.array(slots, dtype=np.int64).reshape(len(kept), -1), errors)
