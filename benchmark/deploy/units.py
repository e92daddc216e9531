"""What is scored as one: a picture, or a part with each of its pictures in the slot that training gave its view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from reshift.datamodules.dataset import DataError
from reshift.datamodules.image_file import IMAGE_SUFFIXES
from reshift.datamodules.rows import view_slots

COLUMNS = ("image", "part", "view")


@dataclass(frozen=True)
class Unit:
    """A row of what a model is given.

    Attributes:
        name: the picture's path below the folder, or the part.
        files: the picture of each slot, None where a view is absent; one slot for a picture on its own.
        pictures: of a part, the path of each picture below the folder, "" where a view is absent.
    """

    name: str
    files: tuple[Path | None, ...]
    pictures: tuple[str, ...] = ()


def picture_units(images: Path) -> list[Unit]:
    """A unit for every picture below a folder, by path, or for one file.

    Raises:
        DataError: no such file or folder, or a folder without a picture.
    """
    if images.is_file():
        return [Unit(images.name, (images,))]
    if not images.is_dir():
        raise DataError(f"{images}: no such picture or folder; check the path")
    # Regular files only: to read from a pipe of that name would never end.
    found = sorted(path for path in images.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not found:
        raise DataError(f"{images}: holds no picture; one ends in {', '.join(IMAGE_SUFFIXES)}")
    return [Unit(path.relative_to(images).as_posix(), (path,)) for path in found]


def part_units(images: Path, csv: Path, view_names: Sequence[str], n_views: int) -> list[Unit]:
    """A unit for every part of a CSV with the columns image (a path below `images`), part and, optional, view.

    Raises:
        DataError: no such CSV, a column or a value missing, a path that leaves the folder, a view that training did
            not have, or a part with more pictures than any had there.
    """
    try:
        rows = pd.read_csv(csv, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{csv}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # pandas' own errors and those of decoding are kinds of it
        raise DataError(f"{csv}: is no UTF-8 CSV ({error}); save it as one, with a header") from error
    for column in COLUMNS[:2]:
        if column not in rows:
            raise DataError(f"{csv}: no column '{column}'; found {', '.join(map(str, rows.columns))}; add it")
    for number, (image, part) in enumerate(zip(rows["image"], rows["part"], strict=True), start=2):
        pure = PurePosixPath(image)
        if not part or not image or pure.is_absolute() or ".." in pure.parts:
            raise DataError(f"{csv}, line {number}: give a part, and an image by its path below {images}, without '..'")
    if rows["image"].duplicated().any():
        raise DataError(f"{csv}: {rows['image'][rows['image'].duplicated()].iloc[0]!r} is listed twice; keep one")
    return units_of_parts(rows.reindex(columns=list(COLUMNS), fill_value=""), images, view_names, n_views, str(csv))


def units_of_parts(rows: pd.DataFrame, root: Path, view_names: Sequence[str], n_views: int, source: str) -> list[Unit]:
    """A unit for every part of a frame with `COLUMNS`, by part; errors as `part_units`."""
    for view in sorted(set(rows["view"]) - set(view_names)):
        known = ", ".join(view_names) or "none by name"
        raise DataError(f"{source}: view {view!r} was not in the training data, which had {known}; correct the column")
    sizes = rows.groupby("part").size()
    if sizes.max() > n_views:
        raise DataError(
            f"{source}: part {sizes.idxmax()!r} has {sizes.max()} pictures, and no part of the training data had more "
            f"than {n_views}; split it, or leave some out"
        )
    table = rows.rename(columns={"image": "sample"}).reset_index(drop=True)
    slots = view_slots(pd.concat([table, _as_in_training(view_names, n_views)], ignore_index=True))
    units = []
    for part, members in table.groupby("part", sort=True):
        pictures = [""] * n_views
        for row, sample in zip(members.index, members["sample"], strict=True):
            pictures[slots[row]] = sample
        files = tuple(root / picture if picture else None for picture in pictures)
        units.append(Unit(str(part), files, tuple(pictures)))
    return units


def _as_in_training(view_names: Sequence[str], n_views: int) -> pd.DataFrame:
    """Rows that let `view_slots` rank views, and count slots, as it did over the training data."""
    views = [(f"\0view {view}", view) for view in view_names] + [("\0largest", view_names[0])] * n_views
    return pd.DataFrame(
        {
            "sample": [f"\0{number}" for number in range(len(views))],
            "part": [part for part, _ in views],
            "view": [view for _, view in views],
        }
    )
