"""BSData: pitting that grows on a ball screw, as a degradation set of positions over time."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd

from reshift.datamodules.dataset import DataError, Dataset, Reader
from reshift.datamodules.image_cache import content_hashes
from reshift.datamodules.source import NOT_STATED, Source
from reshift.splits.samples import DEFECTIVE, GOOD, validate_table

LAYOUT = (
    "data/<ball screw>_<yymmddHHMMSS>_<position>_<angle>_crop_<k>.jpg and label/<same>.json where pitting is annotated"
)

PITTING = "Pitting"

Polygon = list[tuple[float, float]]

_TIMED = re.compile(r"(?P<screw>\d+)_(?P<time>\d{12})_(?P<position>\d+)_(?P<angle>\d+)_crop_(?P<crop>\d)")
_UNTIMED = re.compile(r"KGT\d+-[A-Z]-\d+-A\d+_crop_\d")


class BSData(Reader):
    """BSData: pitting that grows on a ball screw, photographed over time (Schlagenhauf and Landwehr 2021).

    `data/*.jpg`, and `label/*.json` (labelme polygons of pitting) beside those frames that show annotated pitting. One
    frame of one position on the screw is a sample, a position is a part and a sequence, and `time` is the clock in the
    file name as an ISO date. Defective means that pitting is annotated; a frame without annotation is good, also where
    an earlier frame of its position has one (the notes count these). `level` is the annotated area as a share of the
    frame, at most .014, and 0 without annotation; outlines were drawn anew on every frame, so it grows with steps back.
    All positions lie on one screw and share one clock: a board speaks of this screw and of no other. One position of
    fifteen has no annotation at all, so protocols that need several good parts skip.

    The framing changed during the test (`crop_2`, then `crop_1`), so a data set holds the frames of one crop. The
    polygons are no mask files, so there is no mask. Pictures called `KGT...` have no time and are left out.

    Args:
        root: the folder that holds `data` and `label`.
        crop: 2 for the frames from the new screw to about ten days later, which hold the onset of pitting; 1 for the
            later ones, nearly all with pitting.
    """

    name: ClassVar[str] = "bsdata"
    version: ClassVar[int] = 2
    source: ClassVar[Source | None] = Source(
        address="https://github.com/2Obe/BSData",
        licence="CC BY-SA 4.0",
        size=f"1104 pictures, of which 1035 have a time; download size {NOT_STATED}",
        get="git clone the repository; the root is the folder that holds data and label",
        verify="reshift check-data reports 855 images of 15 parts; good 688, defective 167 "
        "(with crop 1: 180 images of 15 parts; good 22, defective 158)",
    )

    def __init__(self, root: Path, crop: Literal[1, 2] = 2) -> None:
        if crop not in (1, 2):
            raise DataError(f"bsdata: crop {crop!r} is unknown; choose 2 (the onset of pitting) or 1 (the time after)")
        self.root = Path(root)
        self.crop = crop

    def read(self) -> Dataset:
        """Build the table; every image file is read once for its content hash, every label file for its shapes."""
        timed, untimed = self._frames()
        frames = pd.DataFrame(timed)
        chosen = frames[frames["crop"] == self.crop].sort_values(["part", "time"], ignore_index=True)
        if chosen.empty:
            seen = ", ".join(f"crop_{crop}" for crop in sorted(frames["crop"].unique()))
            raise DataError(f"{self.root / 'data'}: expected frames of crop_{self.crop}; found {seen}; choose another")
        since = chosen.groupby("part")["label"].cummax()
        lapsed = int(((since == DEFECTIVE) & (chosen["label"] == GOOD)).sum())
        table = pd.DataFrame(
            {
                "sample": chosen["sample"],
                "label": chosen["label"],
                "component": "ball_screw",
                "defect": chosen["label"].map({GOOD: "", DEFECTIVE: PITTING.lower()}),
                "acquisition": f"crop_{self.crop}",
                "part": chosen["part"],
                "time": chosen["time"],
                "sequence": chosen["part"],
                "level": chosen["share"].map("{:.8f}".format),
                "content": content_hashes(self.root, chosen["sample"], self.name),
            }
        )
        notes = [
            f"Parts: positions on {chosen['screw'].nunique()} ball screw with one clock, so close to one unit; nothing "
            f"here holds beyond this screw.",
            f"Frames of crop_{self.crop} only; left out: {len(frames) - len(chosen)} of another crop, {untimed} whose "
            f"names have no time.",
        ]
        if lapsed:
            notes.append(
                f"{lapsed} frames without annotation come after an annotated one of the same position; they count as "
                f"good, at level 0."
            )
        return Dataset(
            name=self.name if self.crop == 2 else f"{self.name}:crop_{self.crop}",
            version=self.version,
            root=self.root,
            table=validate_table(table, str(self.root)),
            parts="given",
            notes=tuple(notes),
        )

    def _frames(self) -> tuple[list[dict[str, object]], int]:
        """Frames with a time, and how many have none."""
        pictures = sorted((self.root / "data").glob("*.jpg"))
        if not pictures or not (self.root / "label").is_dir():
            found = sorted(item.name for item in self.root.iterdir()) if self.root.is_dir() else []
            seen = ", ".join(found[:8]) or "nothing"
            raise DataError(f"{self.root}: not the layout of BSData; expected {LAYOUT}; found {seen}; point to them")
        labels = {path.stem: path for path in sorted((self.root / "label").glob("*.json"))}
        alone = sorted(labels.keys() - {picture.stem for picture in pictures})
        if alone:
            raise DataError(f"{labels[alone[0]]}: has no picture data/{alone[0]}.jpg; copy the data again")
        frames: list[dict[str, object]] = []
        untimed = 0
        for picture in pictures:
            match = _TIMED.fullmatch(picture.stem)
            if match is None:
                if _UNTIMED.fullmatch(picture.stem) is None:
                    raise DataError(f"{picture}: expected a name like 01_200828110014_277500_315_crop_2.jpg; rename it")
                untimed += 1
                continue
            shapes = _shapes(labels[picture.stem]) if picture.stem in labels else ()
            frames.append(
                {
                    "sample": picture.relative_to(self.root).as_posix(),
                    "label": DEFECTIVE if shapes else GOOD,
                    "share": sum(map(_area, shapes)),
                    "screw": match["screw"],
                    "part": f"{match['screw']}_{match['position']}",
                    "time": _time(picture, match["time"]),
                    "crop": int(match["crop"]),
                }
            )
        if not frames:
            raise DataError(f"{self.root / 'data'}: no picture has a time in its name; expected {LAYOUT}")
        return frames, untimed


def _time(picture: Path, digits: str) -> str:
    try:
        return datetime.strptime(digits, "%y%m%d%H%M%S").isoformat()
    except ValueError as error:
        raise DataError(f"{picture}: {digits} in its name is no time yymmddHHMMSS; rename it") from error


def _shapes(path: Path) -> list[Polygon]:
    """Corners of the annotated pitting as shares of the frame's sides; a labelme file may hold shapes of pitting only.

    The published pictures are smaller than those that were annotated, so the sides are those of the labelme file.
    """
    try:
        label = json.loads(path.read_text(encoding="utf-8"))
        names = [shape["label"] for shape in label["shapes"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is no labelme file with shapes and their labels; copy it again") from error
    strange = sorted({str(name) for name in names} - {PITTING})
    if strange:
        raise DataError(f"{path}: annotates {strange[0]!r}; BSData knows {PITTING} only, so correct the shape")
    try:
        width, height = float(label["imageWidth"]), float(label["imageHeight"])
        shapes = [[(float(x) / width, float(y) / height) for x, y in shape["points"]] for shape in label["shapes"]]
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise DataError(
            f"{path}: expected imageWidth, imageHeight and shapes with points [x, y] in pixels; copy it again"
        ) from error
    if any(len(corners) < 3 for corners in shapes):
        raise DataError(f"{path}: has a shape of fewer than 3 points, which is no polygon; draw it as one")
    return shapes


def _area(corners: Polygon) -> float:
    """Area of a polygon by the shoelace formula."""
    after = [*corners[1:], corners[0]]
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in zip(corners, after, strict=True))) / 2
