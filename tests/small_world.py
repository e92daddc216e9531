"""A tiny world of parts that names each part's role, and the same world with chosen rows disguised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

SIZE, PARTS, VIEWS = 32, 60, 2


def write_world(folder: Path) -> pd.DataFrame:
    """Pictures of parts with masks and a `parts.csv` that names each part's role; its rows.

    Defects are easy to see, of two kinds, and every role has them. A third of the parts trains, one validates.
    """
    rows = []
    for part in range(PARTS):
        draw = np.random.default_rng(part)
        defect = ("", "", "spot", "", "line")[part % 5]
        for view in range(VIEWS):
            picture, mask = draw.normal(110, 12, (SIZE, SIZE, 3)), np.zeros((SIZE, SIZE), np.uint8)
            picture[:, :, part % 3] += 25
            if defect == "spot":
                picture[8:18, 8:18], mask[8:18, 8:18] = 250, 255
            elif defect == "line":
                picture[20:23], mask[20:23] = 5, 255
            name = f"p{part:02d}_{view}.png"
            write_picture(folder / name, picture)
            if defect:
                write_picture(folder / "masks" / name, mask)
            rows.append(
                {
                    "image": name,
                    "label": int(bool(defect)),
                    "component": ("ring", "hub", "shaft")[part % 3],
                    "defect": defect,
                    "transmission": ("old", "new")[part // 3 % 2],
                    "acquisition": ("monday", "tuesday")[part % 2],
                    "part": f"p{part:02d}",
                    "view": f"v{view}",
                    "time": str(part),
                    "mask": f"masks/{name}" if defect else "",
                    "split": ("train", "val", "test")[part // 5 % 3],
                }
            )
    frame = pd.DataFrame(rows)
    frame.to_csv(folder / "parts.csv", index=False)
    return frame


def write_picture(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels.clip(0, 255).astype(np.uint8))


def disguised(frame: pd.DataFrame, rows: pd.Series, keep: tuple[str, ...] = ()) -> pd.DataFrame:
    """The table with labels permuted over the parts of these rows, and everything renamed but view and role."""
    other = frame.copy()
    old = frame[rows]
    label = np.roll(old["label"].to_numpy(), VIEWS)
    new: dict[str, Any] = {"label": label, "defect": np.where(label, "scratch", "")}
    new["mask"] = np.where(label, "masks/" + old["image"], "")
    new |= {column: "other " + old[column] for column in ("component", "transmission", "acquisition", "part")}
    new["time"] = "9" + old["time"]
    for column, values in new.items():
        if column not in keep:
            other.loc[rows, column] = values
    return other
