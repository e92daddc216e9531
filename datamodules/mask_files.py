"""Which image files in a strange folder are masks, and of which image."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from reshift.datamodules.dataset import DataError
from reshift.datamodules.image_file import IMAGE_SUFFIXES, read_image

MASK_FOLDERS = frozenset({"ground_truth", "groundtruth", "gt", "mask", "masks"})
MASK_ENDINGS = ("_mask", "_gt", "-mask", "-gt")

_LOOKED_AT = 20
_SUFFIXES = (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES))


def mask_files(folder: Path, paths: list[PurePosixPath]) -> tuple[dict[PurePosixPath, PurePosixPath], list[str]]:
    """Masks among the image files `paths`, relative to `folder`, and report lines that say how they were recognised.

    A mask lies in a folder called like one, is called like its image with an ending such as `_mask`, or is the PNG
    beside an image of another suffix and the same stem, provided that the first few really are black and white.

    Returns:
        mask -> its image, or an empty path where a file in a mask folder has none; and the report.
    """
    report: list[str] = []
    in_folder = {path for path in paths if any(part.lower() in MASK_FOLDERS for part in path.parts[:-1])}
    by_ending = {path for path in paths if path.stem.lower().endswith(MASK_ENDINGS)}
    others = set(paths) - in_folder - by_ending
    masks = {path: _image_of(path, others) for path in sorted(in_folder | by_ending)}
    # An ending alone says little: without its image the file is taken for a picture of a mask.
    masks = {path: image for path, image in masks.items() if image.name or path in in_folder}
    if masks:
        orphans = sum(1 for image in masks.values() if not image.name)
        report.append(f"mask: {len(masks)} files in mask folders or with a mask ending, {orphans} without an image")
    by_stem: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in paths:
        if path not in masks:
            by_stem.setdefault(path.with_suffix(""), []).append(path)
    pairs: dict[PurePosixPath, PurePosixPath] = {}
    for same in by_stem.values():
        if len(same) == 2 and sum(path.suffix.lower() == ".png" for path in same) == 1:
            image, mask = sorted(same, key=lambda path: path.suffix.lower() == ".png")
            pairs[mask] = image
    if pairs:
        looked = sorted(pairs)[:: max(1, len(pairs) // _LOOKED_AT)][:_LOOKED_AT]
        if all(_black_and_white(folder / mask) for mask in looked):
            report.append(
                f"mask: {len(pairs)} .png files beside an image of the same stem; the {len(looked)} looked at are "
                f"black and white"
            )
            masks |= pairs
        else:
            report.append(
                f"could not tell: {len(pairs)} .png files have the stem of another image but are no black and white "
                f"masks; both are listed, remove what is not an image of its own"
            )
    return masks, report


def _image_of(mask: PurePosixPath, images: set[PurePosixPath]) -> PurePosixPath:
    """The image whose path equals the mask's but for its mask folder, its ending and its suffix."""
    stem = mask.stem
    for ending in MASK_ENDINGS:
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
    places = {mask.parent}
    for level, part in enumerate(mask.parts[:-1]):
        if part.lower() in MASK_FOLDERS:
            head, tail = mask.parts[:level], mask.parts[level + 1 : -1]
            places = {PurePosixPath(*head, *middle, *tail) for middle in ((), ("test",), ("train",), ("images",))}
    found = sorted(path for place in places for suffix in _SUFFIXES if (path := place / f"{stem}{suffix}") in images)
    return found[0] if found else PurePosixPath()


def _black_and_white(path: Path) -> bool:
    try:
        pixels = read_image(path)
    except DataError:
        return False
    return bool(np.mean((pixels < 16) | (pixels > 239)) > 0.9)
