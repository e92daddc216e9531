"""A few pictures kept beside a model with its scores of them: what an export, or another machine, has to give again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reshift.benchmark.deploy.model_file import ModelFile, ModelFileError
from reshift.benchmark.deploy.pictures import read_units
from reshift.benchmark.deploy.scorers import Scores, TorchScorer
from reshift.benchmark.deploy.units import Unit, units_of_parts
from reshift.datamodules.dataset import Dataset
from reshift.datamodules.image_cache import content_hash
from reshift.splits.protocol import hash_order
from reshift.splits.samples import DEFECTIVE, GOOD

CHECK_FOLDER = "check"
PARTS = 4
"""Parts of each label that are kept; of a model of single pictures one picture each."""


def write_check_pictures(
    folder: Path, dataset: Dataset, scorer: TorchScorer, size: int, view_names: Sequence[str], n_views: int
) -> tuple[list[dict[str, Any]], float | None]:
    """Copy the pictures into the folder.

    Returns:
        What `model.json` says of each, and the largest value of an anomaly map on the good ones, None without maps.
    """
    (folder / CHECK_FOLDER).mkdir()
    chosen = _chosen(dataset.table, scorer.module.views == "all")
    entries: list[dict[str, Any]] = []
    for number, row in enumerate(chosen.to_dict("records")):
        source = dataset.root / row["sample"]
        name = f"{CHECK_FOLDER}/{number:03d}{source.suffix.lower()}"
        shutil.copyfile(source, folder / name)
        entry = {"image": name, "sha256": content_hash(folder / name), "part": row["part"], "view": row["view"]}
        entries.append({**entry, "sample": row["sample"], "label": int(row["of_part"])})
    units = _units(entries, folder, scorer.module.views, view_names, n_views)
    read = read_units(units, size)
    scores = dict(zip([unit.name for unit in read.units], scorer.scores(read.images, read.slots).tolist(), strict=True))
    key = "part" if scorer.module.views == "all" else "image"
    entries = [{**entry, "score": scores[entry[key]]} for entry in entries]
    labels = {entry[key]: entry["label"] for entry in entries}
    maps = scorer.maps(read.images, read.slots[[labels[unit.name] == GOOD for unit in read.units]])
    return entries, None if maps is None else float(maps.max())


def check_units(model: ModelFile, folder: Path) -> tuple[list[Unit], Scores]:
    """The check pictures of a model folder, whole, and the score each had when the model was made.

    Raises:
        ModelFileError: one is gone or altered.
    """
    for entry in model.check:
        path = folder / entry["image"]
        if not path.is_file() or content_hash(path) != entry["sha256"]:
            raise ModelFileError(f"{path}: gone or altered since the model was made; copy the folder again")
    units = _units(model.check, folder, model.views, model.view_names, model.info["n_views"])
    score = {entry["part" if model.views == "all" else "image"]: entry["score"] for entry in model.check}
    return units, np.array([score[unit.name] for unit in units], dtype=np.float64)


def _chosen(table: pd.DataFrame, whole_parts: bool) -> pd.DataFrame:
    """Pictures of up to `PARTS` parts of each label, drawn by hash; of defective parts such that show it."""
    labels = table.groupby("part")["label"].max()
    rows = table.assign(of_part=table["part"].map(labels)).sort_values(["part", "label", "sample"])
    chosen = []
    for label in (GOOD, DEFECTIVE):
        for part in hash_order(0, CHECK_FOLDER, labels.index[labels == label].tolist())[:PARTS]:
            members = rows[rows["part"] == part]
            chosen.append(members if whole_parts else members.tail(1))
    return pd.concat(chosen, ignore_index=True)


def _units(
    entries: Sequence[dict[str, Any]], folder: Path, views: str, view_names: Sequence[str], n_views: int
) -> list[Unit]:
    if views == "one":
        return [Unit(entry["image"], (folder / entry["image"],)) for entry in entries]
    return units_of_parts(pd.DataFrame(entries)[["image", "part", "view"]], folder, view_names, n_views, "check")
