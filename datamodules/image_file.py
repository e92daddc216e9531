"""One image file to pixels: what is read, what is refused, and how it becomes a square."""

from __future__ import annotations

import io
import math
import stat
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reshift.datamodules.dataset import DataError

Pixels = NDArray[np.uint8]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

MOST_PIXELS = 1 << 27
"""16,384 x 8,192. A file of some kilobytes can claim thousands of millions, which would fill the memory."""

MOST_BYTES = 1 << 29
"""Of a file: more than that many RGB pixels take without compression."""

MASK_THRESHOLD = 127
"""Mask pixels above it are defect; JPEG-born and smoothed masks are grey, not two-valued."""


def read_image(path: Path) -> Pixels:
    """Pixels as stored, (H, W) grey or (H, W, 3) RGB, uint8; an EXIF rotation is not applied (masks have none).

    Raises:
        DataError: the file is missing, no plain file, empty, truncated, no image, of more than `MOST_PIXELS`, deeper
            than 8 bits, or really transparent.
    """
    pixels = _decode(path)
    if pixels.dtype != np.uint8:
        raise DataError(
            f"{path}: holds {pixels.dtype} pixels, not 8-bit ones; convert it to 8 bits, since only you know "
            f"which range of values matters"
        )
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        if (pixels[..., 3] != 255).any():
            raise DataError(f"{path}: is partly transparent; save it without an alpha channel, on the right background")
        pixels = pixels[..., :3]
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] != 3:
        raise DataError(f"{path}: has {pixels.shape[2]} channels; save it as grey or RGB")
    return np.ascontiguousarray(pixels[..., ::-1])  # OpenCV decodes to BGR


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Defect pixels, (H, W) bool: whatever is brighter than `MASK_THRESHOLD` in any colour channel.

    Raises:
        DataError: as for `read_image`.
    """
    pixels = _decode(path)
    if pixels.ndim == 3:
        pixels = pixels[..., :3].max(axis=2)
    return np.asarray(pixels > MASK_THRESHOLD)


def to_square(pixels: Pixels, size: int) -> Pixels:
    """Resize to (size, size, 3) RGB without cropping; the aspect ratio is given up, nothing of the part is.

    Sides that shrink are averaged over area first, so that small defects fade instead of vanishing between samples.
    """
    height, width = pixels.shape[:2]
    shrunk = min(width, size), min(height, size)
    if shrunk != (width, height):
        pixels = np.asarray(cv2.resize(pixels, shrunk, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if shrunk != (size, size):
        pixels = np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def image_bytes(path: Path) -> bytes:
    """The content of an image file, whatever its name leads to: a pipe would never end, a sparse file hardly.

    Raises:
        DataError: it cannot be read, is no plain file, or is larger than `MOST_BYTES`.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{path}: is no plain file; restore the file or take its row out of the table")
        if found.st_size > MOST_BYTES:
            raise DataError(
                f"{path}: {found.st_size} bytes are more than a picture of {MOST_PIXELS} pixels takes; "
                f"crop or compress it"
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); restore the file or take its row out of the table"
        ) from error


def _decode(path: Path) -> NDArray[Any]:
    data = image_bytes(path)
    pixels = None
    if data and not _jpeg_cut_short(data) and (claimed := _claimed_pixels(data)):
        if claimed > MOST_PIXELS:
            raise DataError(f"{path}: claims to have more than {MOST_PIXELS} pixels; crop or shrink it")
        try:
            pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:  # what it thinks impossible it asserts
            pixels = None
    if pixels is None:
        raise DataError(
            f"{path}: is not a whole image ({len(data)} bytes); copy the file again or take its row out of the table"
        )
    return np.asarray(pixels)


def _claimed_pixels(data: bytes) -> float:
    """Width times height by the file's head, nothing decoded; 0 where it is no image.

    OpenCV tells them only with the pixels, for which it takes memory first.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures it warns, of other oddities too: the bound is ours
        try:
            with Image.open(io.BytesIO(data)) as image:
                return image.width * image.height
        except Image.DecompressionBombError:
            return math.inf
        except Exception:  # its readers raise what damaged heads trip, of any type
            return 0


def _jpeg_cut_short(data: bytes) -> bool:
    # Some OpenCV builds fill the missing rest of a JPEG with grey and only warn; the end marker tells.
    return data[:3] == b"\xff\xd8\xff" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
