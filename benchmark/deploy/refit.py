"""Trains a row of a run's boards on all of its data."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import pandas as pd
import timm
import torch

from reshift.benchmark.cell_data import cell_data
from reshift.benchmark.cell_training import BundleMemory, Trained, train_cell
from reshift.benchmark.circumstances import circumstances
from reshift.benchmark.cost import Stopwatch
from reshift.benchmark.deploy.evidence import Evidence
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.progress import Progress, StderrProgress
from reshift.models.base import InspectionModule
from reshift.results.plan import PlannedCell
from reshift.splits.protocol import Split
from reshift.splits.roster import Roster

REFIT = "refit"


@dataclass(frozen=True)
class Refit:
    """A model trained on all data.

    Attributes:
        evidence: what its folds left behind.
        cell: as planned for a fold, but of the split on all data.
        data: its batches; the validation role is empty where nothing was chosen on validation.
        run: device, versions, code revision, start and seconds.
    """

    evidence: Evidence
    cell: PlannedCell
    split: Split
    trained: Trained
    data: InspectionData
    run: dict[str, Any]


def refit_split(table: pd.DataFrame, val: float, seed: int) -> Split:
    """All parts train, but for a share `val` that chooses the model's state; 0 where nothing is chosen. No test.

    The share is drawn as in-distribution folds draw theirs: by label, over parts.
    """
    roster = Roster.of(table)
    everyone = np.ones(len(roster.names), dtype=np.bool_)
    drawn = roster.draw(everyone, val, seed, f"val/{REFIT}") if val else ~everyone
    watching = drawn[roster.group]
    return roster.split(REFIT, train=~watching, val=watching, test=np.zeros(len(watching), dtype=np.bool_))


def train_split(
    evidence: Evidence, split: Split, device: torch.device, progress: Progress | None = None
) -> tuple[PlannedCell, Trained, InspectionData]:
    """Train the model on a split of its data as a cell of the run would: same budget, batch size, refinement and seed.

    Args:
        progress: told of optimiser steps, see `train_cell`.

    Returns:
        The cell, planned for a fold but of this split; what came of it; and the trained model's batches.
    """
    identity, seed = evidence.cell.identity, evidence.cell.seed
    # Under a digest of its own, by which a search for suspects is cached.
    named = {"name": split.name, "digest": split.digest}
    cell = replace(evidence.cell, split=split.name, identity={**identity, "split": named})
    size, batch_size = evidence.preset.size, identity["budget"]["batch_size"]

    def data_for(model: InspectionModule) -> InspectionData:
        return cell_data(model, evidence.dataset, split, size, batch_size, seed, device)

    spec, cls, trials = evidence.spec, evidence.cls, evidence.preset.trials
    trained = train_cell(cell, spec, cls, data_for, trials, BundleMemory(), device, Stopwatch(), progress)
    return cell, trained, data_for(trained.model)


def train_on_all(evidence: Evidence, device: torch.device) -> Refit:
    """Train on every part, as `train_split` does.

    Parts are held back for validation, in the protocol's share, only where the fold models' states or hyper-parameters
    were chosen on validation; closed forms, and models scored in their last state, train on every part.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    protocol = evidence.cell.identity["protocol"]
    share = float(protocol["args"]["val"]) if evidence.watches_validation else 0.0
    split = refit_split(evidence.dataset.table, share, protocol["seed"])
    cell, trained, data = train_split(evidence, split, device, StderrProgress("training on all parts: steps"))
    found = circumstances(device)
    # Beside torch, these two decide what a model sees and what it is built of.
    versions = {**found["versions"], "opencv": cv2.__version__, "timm": timm.__version__}
    run = {**found, "versions": versions, "started": started.isoformat(), "seconds": time.monotonic() - clock}
    return Refit(evidence, cell, split, trained, data, run)
