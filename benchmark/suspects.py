"""Which training rows look wrong to models that never saw them, found before a cell trains, and the weights it gets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from reshift.benchmark.catalog import build, find_class, full_arguments
from reshift.benchmark.cell_data import purpose_seed
from reshift.benchmark.cross_fitting import scores_of_fit
from reshift.benchmark.preset import CrossFitSpec, ModelSpec, RankerSpec
from reshift.benchmark.seeding import seed_everything
from reshift.benchmark.world import MODELS
from reshift.datamodules.cache_folder import DamagedError, cache_root, open_entry
from reshift.datamodules.inspection_data import InspectionData
from reshift.models.base import InspectionModule
from reshift.refinement.contamination_evidence import contamination_evidence
from reshift.refinement.cross_fit import cross_fit
from reshift.refinement.quality import removal_quality
from reshift.refinement.suspicion import suspicion_quality, weights_from_suspicion
from reshift.results.atomic_write import write_atomically
from reshift.results.plan import PlannedCell, canonical_json

SEED = 0
"""Of folds and rankers: suspicion belongs to the split, so cells that differ in seed or use share it."""

SUSPICION_FILE, CHECKSUM_FILE = "suspicion.csv", "suspicion.sha256"

DataFor = Callable[[InspectionModule], InspectionData]


def ranker_of(spec: ModelSpec, found: CrossFitSpec) -> RankerSpec:
    """The ranker that is stated, or the cell's own model."""
    return found.ranker or RankerSpec(spec.use, spec.args, spec.steps)


def suspect_weights(
    cell: PlannedCell, spec: ModelSpec, data_for: DataFor, device: torch.device
) -> tuple[dict[str, float], dict[str, Any]]:
    """Training weight of every observed-good row, and what the record says of the search.

    The record holds a trace as refinement writes it (one round, before training), counts of good and bad removals, and
    under `cross_fit` the budget, where they were asked for the p-value and the estimated share, and how well suspicion
    separated injected defects.

    Args:
        spec: of the cell's model, with `cross_fit`.
        data_for: the cell's batches for a model.
    """
    found = spec.cross_fit
    assert found is not None
    frame, candidates = _suspicion(cell, ranker_of(spec, found), found, data_for, device)
    said: dict[str, Any] = {}
    share = found.budget
    if found.needs_verified:
        evidence = contamination_evidence(frame)
        said = {"p": evidence.p, "estimated_share": evidence.share, "verified_parts": evidence.verified}
        share = evidence.share if share is None else share
        if found.alpha is not None and evidence.p > found.alpha:
            share = 0.0
    assert share is not None
    ours = frame[~frame["verified"]]
    suspicion = dict(zip(ours["sample"], ours["suspicion"].tolist(), strict=True))
    weights = weights_from_suspicion(suspicion, share, found.use)
    truth = dict(zip(candidates["sample"], candidates["label"].tolist(), strict=True))
    component = dict(zip(candidates["sample"], candidates["component"], strict=True))
    removed = sorted(name for name, weight in weights.items() if weight <= 0)
    return weights, {
        "rounds": [{"step": 0, "median": None, "removed": removed}],
        "weights": {name: weight for name, weight in weights.items() if weight != 1},
        "steps": cell.identity["budget"]["steps"],
        "quality": removal_quality(removed, truth, component),
        "cross_fit": {"budget": share, **said, "suspicion": suspicion_quality(suspicion, truth, component)},
    }


def _suspicion(
    cell: PlannedCell, ranker: RankerSpec, found: CrossFitSpec, data_for: DataFor, device: torch.device
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The cross-fit, computed once for all cells that ask for the same, and the rows of its candidates."""
    cls = find_class(ranker.use, MODELS, InspectionModule)
    args = full_arguments(cls, ranker.args, f"ranker {ranker.use}")

    def new_model() -> InspectionModule:
        seed_everything(purpose_seed(SEED, "init"))
        return build(cls, args)

    data = data_for(new_model())
    rows = data.rows("train")
    candidates = rows[rows["observed_label"] == 0]
    verified = data.rows("calibration")["sample"].tolist() if found.needs_verified else []

    def headline(weights: Mapping[str, float], names: Sequence[str]) -> NDArray[np.floating]:
        steps = ranker.steps or cell.identity["budget"]["steps"]
        scores = scores_of_fit(new_model, data, weights, names, steps=steps, seed=SEED, device=device)
        return scores.iloc[:, 0].to_numpy()

    def compute(folder: Path) -> None:
        known = rows if not verified else pd.concat([rows, data.rows("calibration")])
        frame = cross_fit(
            candidates["sample"].tolist(),
            dict(zip(known["sample"], known["part"], strict=True)),
            headline,
            folds=found.folds,
            repeats=found.repeats,
            over=found.over,
            verified=verified,
            seed=SEED,
        )
        content = frame.to_csv(index=False).encode()
        write_atomically(folder / SUSPICION_FILE, content)
        write_atomically(folder / CHECKSUM_FILE, hashlib.sha256(content).hexdigest().encode())

    def opened(folder: Path) -> pd.DataFrame:
        return _read_suspicion(folder, {*candidates["sample"], *verified})

    asked = {key: cell.identity[key] for key in ("dataset", "size", "pipeline")}
    asked |= {"split": cell.identity["split"]["digest"], "batch_size": cell.identity["budget"]["batch_size"]}
    asked |= {"search": cell.identity["cross_fit"]["search"], "seed": SEED}
    key = hashlib.sha256(canonical_json(asked).encode()).hexdigest()
    return open_entry(cache_root() / "suspicion" / key, compute, opened), candidates


def _read_suspicion(folder: Path, expected: set[str]) -> pd.DataFrame:
    """What `cross_fit` returned, one row for each of the `expected` samples.

    Raises:
        FileNotFoundError: there is no such file, or none of its checksum.
        DamagedError: it is not whole.
    """
    path = folder / SUSPICION_FILE
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest().encode() != (folder / CHECKSUM_FILE).read_bytes():
        raise DamagedError(f"{path}: its checksum does not match")
    text = {"sample": str, "part": str}
    try:
        frame = pd.read_csv(
            BytesIO(content),
            dtype=text,
            keep_default_na=False,
            na_values={"spread": [""]},
            float_precision="round_trip",
        )
    except ValueError as error:  # of which pandas' own are kinds
        raise DamagedError(f"{path}: is no table ({error})") from error
    if set(frame.get("sample", ())) != expected or not np.isfinite(frame["suspicion"]).all():
        raise DamagedError(f"{path}: lacks samples or their suspicion")
    return frame
