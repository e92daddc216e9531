"""A whole synthetic world on disk: pictures, masks, twins and their table."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from reshift.datamodules.gearbox.knobs import REFERENCE_PIXELS, REFERENCE_SIZE, Knobs
from reshift.datamodules.gearbox.plan import Plan, plan_part
from reshift.datamodules.gearbox.render import picture
from reshift.datamodules.gearbox.scene import Scene, View, build_scene, mask
from reshift.datamodules.gearbox.seeding import generator
from reshift.datamodules.progress import Progress

TABLE = "parts.csv"
"""One row an image: the sample table's columns and what only the generator knows."""


def build_world(knobs: Knobs, folder: Path, progress: Progress) -> None:
    """Render all parts into `folder`: images/, masks/, counterfactuals/ (on request) and the table."""
    for name in ("images", "masks", *(["counterfactuals"] if knobs.counterfactuals else [])):
        (folder / name).mkdir()
    rows: list[dict[str, Any]] = []
    with torch.inference_mode():
        for index in range(knobs.parts):
            rows += build_part(knobs, plan_part(knobs, index), folder)
            progress(index + 1, knobs.parts)
    pd.DataFrame(rows).to_csv(folder / TABLE, index=False, lineterminator="\n")


def build_part(knobs: Knobs, plan: Plan, folder: Path) -> list[dict[str, Any]]:
    """Render one part and return its rows."""
    scene = build_scene(knobs, plan)
    return [_build_view(knobs, plan, scene, number, view, folder) for number, view in enumerate(scene.views)]


def _build_view(knobs: Knobs, plan: Plan, scene: Scene, number: int, view: View, folder: Path) -> dict[str, Any]:
    name = f"{plan.name}_v{number}.png"
    key = (knobs.seed, "noise", plan.index, number)
    grid = max(knobs.size, REFERENCE_SIZE)
    content = _write(folder / "images" / name, _sized(picture(scene, view, grid, scene.marks, generator(*key)), knobs))
    shown, mask_path = 0, ""
    if scene.defect is not None:
        reference = mask(scene, view, scene.defect, REFERENCE_SIZE).numpy()
        shown = int(reference.sum())
        if shown >= REFERENCE_PIXELS:
            full = reference if grid == REFERENCE_SIZE else mask(scene, view, scene.defect, grid).numpy()
            mask_path = f"masks/{name}"
            _write(folder / mask_path, _small_mask(full, knobs.size))
            if knobs.counterfactuals:
                twin = picture(scene, view, grid, scene.marks[:-1], generator(*key))
                _write(folder / "counterfactuals" / name, _sized(twin, knobs))
    defective = shown >= REFERENCE_PIXELS
    return {
        "sample": f"images/{name}",
        "label": int(defective),
        "component": plan.component,
        "defect": plan.defect if defective else "",
        "transmission": plan.transmission,
        "acquisition": view.acquisition,
        "part": plan.name,
        "view": f"v{number}",
        "mask": mask_path,
        "content": content,
        "part_defect": plan.defect,
        "severity": round(plan.severity, 4),
        "near_tolerance": int(plan.near_tolerance),
        "mask_pixels": shown,
        "dot": int(plan.dot),
        "permitted_marks": " ".join(kind for kind, _ in plan.slight),
    }


def _sized(image: NDArray[np.uint8], knobs: Knobs) -> NDArray[np.uint8]:
    if image.shape[0] == knobs.size:
        return image
    return np.asarray(cv2.resize(image, (knobs.size, knobs.size), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _small_mask(covered: NDArray[np.bool_], size: int) -> NDArray[np.uint8]:
    # a pixel of a smaller picture counts from a quarter on; should thin marks fall below it, any share counts
    share = covered.astype(np.float32)
    if covered.shape[0] != size:
        share = np.asarray(cv2.resize(share, (size, size), interpolation=cv2.INTER_AREA), dtype=np.float32)
    chosen = share >= 0.25
    if not chosen.any():
        chosen = share > 0
    return np.where(chosen, 255, 0).astype(np.uint8)


def _write(path: Path, image: NDArray[np.uint8]) -> str:
    stored = image[..., ::-1] if image.ndim == 3 else image  # OpenCV encodes BGR
    done, buffer = cv2.imencode(".png", np.ascontiguousarray(stored), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    if not done:
        raise RuntimeError(f"{path}: the picture could not be encoded as PNG")
    data = buffer.tobytes()
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
