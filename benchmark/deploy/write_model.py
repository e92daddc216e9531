"""Writes a refitted model as a folder that says where everything in it comes from."""

from __future__ import annotations

import inspect
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from reshift.benchmark.catalog import class_key, full_arguments
from reshift.benchmark.cell_data import role_counts, scored
from reshift.benchmark.deploy.check_pictures import write_check_pictures
from reshift.benchmark.deploy.cross_fitted import outcome_of
from reshift.benchmark.deploy.model_file import WEIGHTS_FILE, ModelFile, write_model_json
from reshift.benchmark.deploy.model_folder import encode_weights, weights_pointer
from reshift.benchmark.deploy.refit import Refit
from reshift.benchmark.deploy.scorers import TorchScorer
from reshift.benchmark.preset import ModelSpec
from reshift.datamodules.dataset import PIPELINE_VERSION
from reshift.models.base import InspectionModule
from reshift.results.atomic_write import write_atomically
from reshift.results.thresholds import ALPHA

RESIZE = (
    "pixels as stored, no EXIF rotation; grey is repeated to RGB; both sides to `size` without cropping, those that "
    "shrink by cv2.INTER_AREA, then those that grow by cv2.INTER_LINEAR; uint8, divided by 255 to float32 in [0, 1]"
)


def check_free(folder: Path) -> None:
    """Nothing, unless something is in the folder.

    Raises:
        FileExistsError: something is.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists; give another --out, or delete it")


def write_model(
    refit: Refit, folder: Path, device: torch.device, comparison: dict[str, Any] | None = None
) -> ModelFile:
    """Write check pictures and tensors, and `model.json` last, so that a folder with one is whole.

    Args:
        comparison: see `compare`.

    Raises:
        FileExistsError: see `check_free`.
    """
    check_free(folder)
    evidence, module, data = refit.evidence, refit.trained.model, refit.data
    dataset, cell, fitted = evidence.dataset, refit.cell, evidence.fitted
    folder.mkdir(parents=True, exist_ok=True)
    views = sorted(map(str, dataset.table["view"].unique()))
    scorer = TorchScorer(module, data.batch_size, device)
    check, map_scale = write_check_pictures(folder, dataset, scorer, data.size, views, data.n_views)
    content = encode_weights(module)
    write_atomically(folder / WEIGHTS_FILE, content)
    model = ModelFile(
        model=cell.model,
        use=_use(evidence.cls),
        source=class_key(evidence.cls),
        args=_arguments(evidence.spec, evidence.cls, refit.trained.training),
        info=asdict(module.info),
        identity=cell.identity,
        seed=cell.seed,
        data={
            "name": dataset.name,
            "fingerprint": cell.identity["dataset"]["fingerprint"],
            "parts": dataset.parts,
            "notes": list(dataset.notes),
            "counts": role_counts(refit.split, dataset.table),
        },
        training=refit.trained.training,
        refinement=refit.trained.refinement,
        run=refit.run,
        threshold={
            "value": fitted.threshold,
            "score": fitted.score,
            "alpha": ALPHA,
            "made": "largest score of each good part's pictures, out of fold",
            "good_parts": fitted.good,
            "defective_parts": fitted.defective,
            "board": cell.protocol,
            "folds": list(fitted.folds),
            "cells": list(evidence.cells),
        },
        expected={**fitted.outcome, "judged": fitted.judged},
        comparison=comparison,
        validation=_validation(refit, fitted.threshold, device),
        preprocessing={"size": data.size, "resize": RESIZE, "pipeline": PIPELINE_VERSION},
        views=module.views,
        view_names=views,
        map_scale=map_scale,
        check=check,
        weights=weights_pointer(content),
    )
    write_model_json(folder, model)
    return model


def _use(cls: type[InspectionModule]) -> str:
    """How the class is found again: by its file where it is not part of an importable package."""
    if cls.__module__.startswith("reshift_user_"):
        return f"{Path(inspect.getfile(cls)).resolve()}:{cls.__qualname__}"
    return f"{cls.__module__}:{cls.__qualname__}"


def _arguments(spec: ModelSpec, cls: type[InspectionModule], training: dict[str, Any] | None) -> dict[str, Any]:
    args = full_arguments(cls, spec.args, f"model {spec.name or spec.use}")
    if training and "chosen" in training:
        args |= training["trials"][training["chosen"]]["args"]
    return args | ({"weights": "none"} if "weights" in args else {})


def _validation(refit: Refit, threshold: float, device: torch.device) -> dict[str, Any] | None:
    """What the threshold of the fold models does to the scores of this one, where parts are left to tell."""
    if not refit.split.val:
        return None
    rows = scored(refit.trained.model, refit.data, "val", device)
    column = next(name for name in map(str, rows.columns) if name.startswith("score:"))
    parts = rows.groupby("part").agg(score=(column, "max"), label=("label", "max"))
    return outcome_of(parts["label"].to_numpy(), parts["score"].to_numpy() > threshold)
