"""MVTec AD and whatever has its layout, one category a data set."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pandas as pd

from reshift.datamodules.dataset import DataError, Dataset, Reader
from reshift.datamodules.image_cache import content_hash
from reshift.datamodules.progress import tracked
from reshift.datamodules.source import NOT_STATED, Source
from reshift.splits.samples import DEFECTIVE, GOOD, validate_table

LAYOUT = "train/good/NNN.png, test/good/NNN.png, test/<defect>/NNN.png and ground_truth/<defect>/NNN_mask.png"


class MVTecAD(Reader):
    """MVTec AD and data in its folder layout, one category at a time (Bergmann et al. 2019).

    `<category>/{train,test}/{good,<defect>}/NNN.png` with masks `<category>/ground_truth/<defect>/NNN_mask.png`. The
    category is the component; there is no transmission and no stand-in for one. No parts are named, so every image is
    its own. `official_split` is train or test.

    Args:
        root: the folder that holds the categories.
        category: e.g. "screw".
    """

    name: ClassVar[str] = "mvtec_ad"
    version: ClassVar[int] = 1
    source: ClassVar[Source | None] = Source(
        address="https://www.mvtec.com/company/research/datasets/mvtec-ad",
        licence="CC BY-NC-SA 4.0: no commercial use",
        size=f"5354 pictures in 15 categories; download size {NOT_STATED}",
        get="download and unpack the archive from that page; the root is the folder that holds the categories",
        verify="over all 15 categories reshift check-data reports 5354 images: good 4096 (train 3629, test 467), "
        "defective 1258",
    )

    def __init__(self, root: Path, category: str) -> None:
        self.root = Path(root)
        self.category = category

    def read(self) -> Dataset:
        """Build the table; every image file is read once for its content hash."""
        folder = self.root / self.category
        if not self.category or not folder.is_dir():
            found = ", ".join(_folders(self.root)) or "no folder"
            raise DataError(f"{self.root}: expected a category folder {self.category!r}; found {found}; name one")
        if _folders(folder / "train") != ["good"] or "good" not in _folders(folder / "test"):
            found = f"train: {_folders(folder / 'train')}, test: {_folders(folder / 'test')}"
            raise DataError(f"{folder}: not the layout of MVTec AD; expected {LAYOUT}; found {found}")
        rows = []
        for split in ("train", "test"):
            for defect in _folders(folder / split):
                pictures = sorted((folder / split / defect).glob("*.png"))
                if not pictures:
                    raise DataError(f"{folder / split / defect}: expected NNN.png; found none; copy it again")
                for picture in tracked(pictures, f"{self.name}:{self.category}: reading {split}/{defect}"):
                    mask = folder / "ground_truth" / defect / f"{picture.stem}_mask.png"
                    rows.append(
                        {
                            "sample": picture.relative_to(folder).as_posix(),
                            "label": GOOD if defect == "good" else DEFECTIVE,
                            "component": self.category,
                            "defect": "" if defect == "good" else defect,
                            "mask": mask.relative_to(folder).as_posix() if mask.is_file() else "",
                            "official_split": split,
                            "content": content_hash(picture),
                        }
                    )
        return Dataset(
            name=f"{self.name}:{self.category}",
            version=self.version,
            root=folder,
            table=validate_table(pd.DataFrame(rows), str(folder)),
            parts="assumed",
            notes=("Parts: one per image, assumed.",),
        )


def _folders(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir() if item.is_dir()) if folder.is_dir() else []
