"""KolektorSDD2: surfaces of one product with pixel masks, in the two folders the authors publish."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pandas as pd

from reshift.datamodules.dataset import DataError, Dataset, Reader
from reshift.datamodules.image_cache import content_hash
from reshift.datamodules.image_file import read_image
from reshift.datamodules.progress import tracked
from reshift.datamodules.source import NOT_STATED, Source
from reshift.splits.samples import DEFECTIVE, GOOD, validate_table

PUBLISHED = {("train", GOOD): 2085, ("train", DEFECTIVE): 246, ("test", GOOD): 894, ("test", DEFECTIVE): 110}
"""Images of the whole release, by folder and label."""

LAYOUT = "NNNNN.png with its mask NNNNN_GT.png in train/ and in test/"

_IMAGE = re.compile(r"\d{5}\.png")
_MASK = re.compile(r"\d{5}_GT\.png")


class KSDD2(Reader):
    """KolektorSDD2: surfaces of one product, with pixel masks of their defects (Bozic et al. 2021).

    `train/` and `test/`, flat, `NNNNN.png` with a mask `NNNNN_GT.png` each. The label is read from the mask, as the
    authors do: a mask without any pixel above zero is good. No kinds of defects, components or parts are named: every
    image is its own part. `official_split` is train or test.

    The release carries stray copies in train (`10301 (copy).png` and its mask). A file of another name is left out,
    and named in the notes, only where it is in train and byte for byte a file that is read; any other is an error,
    since nobody can say what it is.

    Args:
        root: the folder that holds `train` and `test`.
    """

    name: ClassVar[str] = "ksdd2"
    version: ClassVar[int] = 1
    source: ClassVar[Source | None] = Source(
        address="https://www.vicos.si/resources/kolektorsdd2/",
        licence="non-commercial use; the terms are on that page",
        size=f"3335 pictures with a mask each; download size {NOT_STATED}",
        get="download and unpack the archive from that page; the root is the folder that holds train and test",
        verify="reshift check-data reports 3335 images; good 2979 (train 2085, test 894), "
        "defective 356 (train 246, test 110)",
    )

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def read(self) -> Dataset:
        """Build the table; every image and mask file is read once."""
        if not all((self.root / split).is_dir() for split in ("train", "test")):
            found = sorted(item.name for item in self.root.iterdir()) if self.root.is_dir() else []
            seen = ", ".join(found[:8]) or "nothing"
            raise DataError(f"{self.root}: not the layout of KSDD2; expected {LAYOUT}; found {seen}; point to them")
        rows: list[dict[str, object]] = []
        copies: list[str] = []
        for split in ("train", "test"):
            images, strays = self._files(split)
            rows += [self._row(split, image) for image in tracked(images, f"{self.name}: reading {split}")]
            copies += self._copies(split, images, strays)
        table = pd.DataFrame(rows)
        notes = ["Parts: one per image, assumed."]
        if copies:
            notes.append(f"Left out, being byte for byte copies of files that are read: {', '.join(copies)}.")
        counts = Counter(zip(table["official_split"], table["label"], strict=True))
        if counts != PUBLISHED:
            notes.append(f"Not the whole release: found {_counted(counts)}; published: {_counted(PUBLISHED)}.")
        return Dataset(
            name=self.name,
            version=self.version,
            root=self.root,
            table=validate_table(table, str(self.root)),
            parts="assumed",
            notes=tuple(notes),
        )

    def _files(self, split: str) -> tuple[list[Path], list[Path]]:
        """Images of a folder, each with its mask, and the files whose names the layout does not know."""
        folder = self.root / split
        files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        images = [path for path in files if _IMAGE.fullmatch(path.name)]
        masks = {path for path in files if _MASK.fullmatch(path.name)}
        strays = sorted(set(files) - set(images) - masks)
        if not images:
            seen = ", ".join(path.name for path in files[:4]) or "nothing"
            raise DataError(f"{folder}: expected {LAYOUT}; found {seen}; copy it again")
        for image in images:
            if _mask_of(image) not in masks:
                raise DataError(f"{image}: has no mask {_mask_of(image).name} beside it, so no label; copy it again")
        alone = sorted(masks - {_mask_of(image) for image in images})
        if alone:
            raise DataError(f"{alone[0]}: is a mask without its image ({len(alone)} such in {split}); copy it again")
        return images, strays

    def _row(self, split: str, image: Path) -> dict[str, object]:
        mask = _mask_of(image)
        return {
            "sample": image.relative_to(self.root).as_posix(),
            "label": DEFECTIVE if read_image(mask).any() else GOOD,
            "mask": mask.relative_to(self.root).as_posix(),
            "official_split": split,
            "content": content_hash(image),
        }

    def _copies(self, split: str, images: list[Path], strays: list[Path]) -> list[str]:
        if not strays:
            return []
        known = {content_hash(path) for image in images for path in (image, _mask_of(image))}
        for stray in strays:
            if split != "train" or not stray.is_file() or content_hash(stray) not in known:
                raise DataError(
                    f"{stray}: expected only {LAYOUT}, and in train exact copies of those; remove it if it is not "
                    f"part of the data"
                )
        return [stray.relative_to(self.root).as_posix() for stray in strays]


def _mask_of(image: Path) -> Path:
    return image.with_name(f"{image.stem}_GT.png")


def _counted(counts: Mapping[tuple[str, int], int]) -> str:
    return ", ".join(
        f"{split} {counts.get((split, GOOD), 0)} good and {counts.get((split, DEFECTIVE), 0)} defective"
        for split in ("train", "test")
    )
