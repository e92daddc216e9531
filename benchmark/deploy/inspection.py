"""Puts a model to work on pictures: a score and a decision each, and where it sees a defect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from reshift.benchmark.deploy.model_file import ModelFile
from reshift.benchmark.deploy.model_folder import read_model
from reshift.benchmark.deploy.onnx_file import read_onnx
from reshift.benchmark.deploy.overlay import write_overlay
from reshift.benchmark.deploy.pictures import read_units
from reshift.benchmark.deploy.provenance import folder_of
from reshift.benchmark.deploy.scorers import Scorer, TorchScorer, torch_scorer
from reshift.benchmark.deploy.units import Unit, part_units, picture_units
from reshift.datamodules.dataset import DataError
from reshift.results.csv_bytes import csv_bytes

HEADER = ("file", "score", "decision", "threshold", "model")
DECISIONS = ("good", "defective")
_AT_ONCE = 32
"""Units whose pictures are in memory at a time."""


@dataclass(frozen=True)
class Inspected:
    """A picture, or a part, with its score; or, in one line, why it has none."""

    name: str
    score: float | None
    defective: bool
    error: str = ""


def open_model(path: Path, device: torch.device, own: str = "") -> tuple[ModelFile, Scorer]:
    """A model folder or an exported file, ready to score; `own` and errors as `read_model`."""
    if path.suffix == ".onnx":
        return read_onnx(path)
    model, module = read_model(folder_of(path), device, own)
    return model, torch_scorer(model, module, device)


def units_for(model: ModelFile, images: Path, manifest: Path | None) -> list[Unit]:
    """What the model scores of these pictures.

    Raises:
        DataError: a model of whole parts without a manifest, or the other way round; see `part_units`.
    """
    if model.views == "all":
        if manifest is None:
            raise DataError(
                f"{model.model} looks at all pictures of a part together: say which belong together with --manifest, "
                f"a CSV with the columns image, part and view"
            )
        return part_units(images, manifest, model.view_names, model.info["n_views"])
    if manifest is not None:
        raise DataError(f"{model.model} looks at one picture at a time; leave --manifest out")
    return picture_units(images)


def inspected(
    model: ModelFile, scorer: Scorer, units: Sequence[Unit], overlays: Path | None = None
) -> Iterator[Inspected]:
    """Every unit in its order, those that cannot be read in between with the reason.

    Args:
        overlays: folder for every picture with its anomaly map, of a part one for each of its views, under the names
            that the pictures have below theirs; the model must give maps.

    Raises:
        DataError: overlays are asked of a model that draws no map.
    """
    if overlays is not None and not (isinstance(scorer, TorchScorer) and model.map_scale is not None):
        raise DataError(
            f"{model.model}: draws no anomaly maps here (a folder of a model with maps does); no --overlays"
        )
    for start in range(0, len(units), _AT_ONCE):
        some = units[start : start + _AT_ONCE]
        found = read_units(some, model.size)
        scores = scorer.scores(found.images, found.slots)
        by_name = dict(zip([unit.name for unit in found.units], scores.tolist(), strict=True))
        if overlays is not None and isinstance(scorer, TorchScorer) and found.units:
            maps = scorer.maps(found.images, found.slots)
            assert maps is not None and model.map_scale is not None
            for unit, views in zip(found.units, maps, strict=True):
                for name, picture, heat in zip(unit.pictures or (unit.name,), unit.files, views, strict=True):
                    if picture is not None:
                        write_overlay(overlays / f"{name}.png", picture, heat, model.map_scale)
        for unit in some:
            score = by_name.get(unit.name)
            defective = score is not None and score > model.cut
            yield Inspected(unit.name, score, defective, found.errors.get(unit.name, ""))


def csv_of(model: ModelFile, rows: Iterable[Inspected]) -> bytes:
    """`HEADER` and a line for every row that has a score; numbers such that they can be compared again exactly."""
    cut = repr(model.cut)
    lines = [(row.name, repr(row.score), DECISIONS[row.defective], cut, model.id) for row in rows if not row.error]
    return csv_bytes(HEADER, lines)
