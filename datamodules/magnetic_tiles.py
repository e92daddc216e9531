"""Magnetic tiles in their original layout, with parts inferred from exposures and frame numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from reshift.datamodules.dataset import DataError, Dataset, Reader
from reshift.datamodules.image_cache import content_hashes
from reshift.datamodules.source import NOT_STATED, Source
from reshift.splits.samples import DEFECTIVE, GOOD, validate_table

CLASSES = ("Blowhole", "Break", "Crack", "Fray", "Free", "Uneven")

EXPOSURE_GAP = 80
"""Most frames between two exposures of one tile."""

SESSION_GAP = 200
"""Frames at least this far apart belong to different capture sessions."""

_FILE_NAME = re.compile(r"exp(?P<exposure>\d+)_num_(?P<num>\d+)")


class MagneticTiles(Reader):
    """Magnetic tiles with five kinds of defects, a tile under several exposures (Huang et al. 2020).

    `MT_<Class>/Imgs/exp<E>_num_<N>.jpg` with a `.png` mask of the same stem; the label is the class. No transmission:
    the exposure is a setting of the camera, and stands as `view` and `acquisition`.

    The authors name no tiles, so parts are inferred from file names alone. `group="tile"`: within a class, in the
    order of the frame number, a new tile starts when the exposure does not rise or more than `EXPOSURE_GAP` frames
    lie between. Judged against the given groups: pair precision .962, recall 1, adjusted Rand index .981. What it
    still divides: tiles photographed under two classes, and tiles with a longer pause between two exposures.
    `group="session"`: frames closer than `SESSION_GAP` chain into one capture session whatever their class, so that
    nothing photographed together is divided; such parts hold several tiles, classes and labels.

    Args:
        root: the folder that holds `MT_Blowhole`, ..., `MT_Uneven`.
        group: which of the two a part is.
    """

    name: ClassVar[str] = "magnetic_tiles"
    version: ClassVar[int] = 1
    source: ClassVar[Source | None] = Source(
        address="https://github.com/abin24/Magnetic-tile-defect-datasets. (the last dot belongs to it)",
        licence="none stated by the authors, so none is given",
        size=f"1344 pictures with a mask each; download size {NOT_STATED}",
        get="git clone the repository; the root is the folder that holds MT_Blowhole, ..., MT_Uneven",
        verify="reshift check-data reports 1344 images; good 952, defective 392; "
        "blowhole 115, break 85, crack 57, fray 32, uneven 103",
    )

    def __init__(self, root: Path, group: Literal["tile", "session"] = "tile") -> None:
        if group not in ("tile", "session"):
            raise DataError(f"magnetic_tiles: group {group!r} is unknown; choose 'tile' or 'session'")
        self.root = Path(root)
        self.group = group

    def read(self) -> Dataset:
        """Build the table; every image file is read once for its content hash."""
        frames = pd.DataFrame(self._frames())
        parts = tiles(frames) if self.group == "tile" else sessions(frames)
        table = pd.DataFrame(
            {
                "sample": frames["path"],
                "label": (frames["class"] != "Free").map({True: DEFECTIVE, False: GOOD}),
                "component": "tile",
                "defect": frames["class"].str.lower().where(frames["class"] != "Free", ""),
                "transmission": "",
                "acquisition": frames["exposure"].map("exp{}".format),
                "view": frames["exposure"].map("exp{}".format),
                "part": parts,
                "mask": frames["mask"],
                "content": content_hashes(self.root, frames["path"], self.name),
            }
        )
        rule = (
            f"tiles inferred from file names (within a class, rising exposure, at most {EXPOSURE_GAP} frames apart)"
            if self.group == "tile"
            else f"capture sessions (frame numbers closer than {SESSION_GAP} chained), each holding several tiles"
        )
        return Dataset(
            name=self.name if self.group == "tile" else f"{self.name}:session",
            version=self.version,
            root=self.root,
            table=validate_table(table, str(self.root)),
            parts="inferred",
            notes=(f"Parts: {rule}; the authors of the data name none.",),
        )

    def _frames(self) -> list[dict[str, object]]:
        expected = "MT_Blowhole, MT_Break, MT_Crack, MT_Fray, MT_Free, MT_Uneven, each with Imgs/exp<E>_num_<N>.jpg"
        found = sorted(item.name for item in self.root.iterdir()) if self.root.is_dir() else []
        if any(f"MT_{name}" not in found for name in CLASSES):
            seen = ", ".join(found[:8]) or "nothing"
            raise DataError(f"{self.root}: not the magnetic tiles; expected {expected}; found {seen}; point to them")
        frames: list[dict[str, object]] = []
        for name in CLASSES:
            pictures = sorted((self.root / f"MT_{name}" / "Imgs").glob("*.jpg"))
            if not pictures:
                raise DataError(f"{self.root}/MT_{name}/Imgs: expected exp<E>_num_<N>.jpg; found none; copy it again")
            for picture in pictures:
                match = _FILE_NAME.fullmatch(picture.stem)
                if match is None:
                    raise DataError(f"{picture}: expected a name like exp1_num_108719.jpg; rename or remove the file")
                mask = picture.with_suffix(".png")
                frames.append(
                    {
                        "path": picture.relative_to(self.root).as_posix(),
                        "mask": mask.relative_to(self.root).as_posix() if mask.is_file() else "",
                        "class": name,
                        "exposure": int(match["exposure"]),
                        "num": int(match["num"]),
                    }
                )
        return frames


def tiles(frames: pd.DataFrame) -> pd.Series:
    """Name of the tile each frame shows; `frames` has `class`, `exposure` and `num`, in any row order."""
    ordered = frames.sort_values(["class", "num", "exposure"])
    before = ordered.shift()
    starts = (
        (ordered["class"] != before["class"])
        | (ordered["exposure"] <= before["exposure"])
        | (ordered["num"] - before["num"] > EXPOSURE_GAP)
    )
    first = ordered["num"].where(starts).ffill().astype("int64").astype(str)
    return (ordered["class"].str.lower() + "-" + first).reindex(frames.index)


def sessions(frames: pd.DataFrame) -> pd.Series:
    """Name of the capture session each frame belongs to; `frames` has `num`, in any row order."""
    ordered = frames["num"].sort_values()
    starts = ~(ordered.diff() < SESSION_GAP)
    first = ordered.where(starts).ffill().astype("int64").astype(str)
    return ("session-" + first).reindex(frames.index)
