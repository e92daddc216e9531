"""Pictures that cost nothing to make, for measurements that do not ask what is on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_pictures(folder: Path, count: int, side: int) -> Path:
    """`folder/pictures.csv` over JPEGs as a camera leaves them: large shapes, some grain. Every other is defective."""
    folder.mkdir(parents=True)
    lines = ["image,label"]
    for number in range(count):
        draw = np.random.default_rng(number)
        shapes = cv2.resize(draw.uniform(40, 200, (12, 12, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
        picture = shapes + draw.normal(0, 4, shapes.shape)
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), picture.clip(0, 255).astype(np.uint8))
        lines.append(f"{number:03d}.jpg,{number % 2}")
    csv = folder / "pictures.csv"
    csv.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return csv
