"""Every model of the catalogue as the smallest cell a plan holds, and all that such a cell leaves behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from small_world import SIZE
from torch import Tensor

from reshift.benchmark.catalog import full_arguments, own_classes
from reshift.benchmark.cell import compute_cell
from reshift.benchmark.cell_training import BundleMemory
from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import Preset, parse_preset
from reshift.benchmark.sharing import training_key
from reshift.benchmark.worker import Job
from reshift.benchmark.world import MODELS, World
from reshift.models.base import InspectionModule
from reshift.results.evaluation import evaluate
from reshift.results.plan import Plan, PlannedCell, canonical_json
from reshift.results.record import Record
from reshift.results.scores_file import score_names
from reshift.results.store import RunStore
from reshift.results.thresholds import thresholds
from reshift.splits.protocol import Split

TINY: dict[str, Any] = {
    "backbone": "test_resnet",
    "weights": "none",
    "stages": [2, 3],
    "scales": [1.0],
    "blocks": 1,
    "hidden": 16,
    "channels": 8,
    "projection": 8,
    "grid": 4,
    "share": 0.2,
    "folds": 2,
    "lr": 3e-3,
    "train_transforms": 2,
    "score_transforms": 2,
    "smallest_crop": 0.8,
}
ANOMALIB = {
    "model": "Padim",
    "size": SIZE,
    "options": {"backbone": "test_resnet", "layers": ["layer1"], "pre_trained": False, "n_features": 8},
}
THRESHOLD = {"class_path": "reshift.refinement.threshold.MedianMAD", "init_args": {"k": 0.5}}
ONE_SHOT = {"class_path": "reshift.refinement.policies.OneShot", "init_args": {"threshold": THRESHOLD}}
ITERATIVE = {
    "class_path": "reshift.refinement.policies.Iterative",
    "init_args": {"threshold": THRESHOLD, "rounds": 2, "most": 0.1},
}
SEARCH = {"use": "remove", "folds": 2, "ranker": {"use": "gaussian"}}
ARMS: dict[str, dict[str, Any]] = {
    "patch_flow, removed once": {"use": "patch_flow", "refinement": {"policy": ONE_SHOT}},
    "differnet, iterative": {"use": "differnet", "refinement": {"policy": ITERATIVE, "start": "scratch"}},
    "gaussian, iterative": {"use": "gaussian", "refinement": {"policy": ITERATIVE}},
    "gaussian, suspects": {"use": "gaussian", "cross_fit": {**SEARCH, "budget": 0.2}},
    "classifier, last state": {"use": "classifier", "selection": "last"},
}
"""What may be done around a model: refinement, a search for suspects before training, no selection."""

VERIFIED: dict[str, dict[str, Any]] = {
    "gaussian, suspects by verified parts": {"use": "gaussian", "cross_fit": {**SEARCH, "budget": 0.2, "alpha": 0.99}}
}
"""An arm that learns from calibration parts, as its contract says."""


def catalogue() -> dict[str, dict[str, Any]]:
    """Rows of a preset by name: every model the suite ships, anomalib's where its extra is installed."""
    known = own_classes(MODELS, InspectionModule)
    return {name: {"use": name} for name in known if name != "anomalib" or find_spec("anomalib")}


def row(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A row with what costs time made small; a class that is not the suite's own keeps its arguments."""
    found = {"name": name, **spec}
    known = own_classes(MODELS, InspectionModule)
    if spec["use"] in known:
        found["args"] = _smallest(known[spec["use"]])
    if ranker := (spec.get("cross_fit") or {}).get("ranker"):
        found["cross_fit"] = {**spec["cross_fit"], "ranker": {**ranker, "args": _smallest(known[ranker["use"]])}}
    return found


def _smallest(cls: type[InspectionModule]) -> dict[str, Any]:
    if cls.name == "anomalib":
        return ANOMALIB
    return {key: TINY[key] for key in full_arguments(cls, {}, cls.name) if key in TINY}


def small_preset(csv: Path, rows: Sequence[dict[str, Any]], trials: int = 1) -> Preset:
    """One official split with calibration parts, one seed, eight steps."""
    return parse_preset(
        {
            "description": "every model, as small as can be: for tests",
            "datasets": [{"use": "manifest", "args": {"csv": str(csv)}}],
            "protocols": [{"use": "official", "calibration": 0.25}],
            "models": list(rows),
            "size": SIZE,
            "seeds": [0],
            "steps": 8,
            "batch_size": 8,
            "checks": 4,
            "trials": trials,
        },
        "small cells",
    )


@dataclass(frozen=True)
class Outcome:
    """What one cell made.

    Attributes:
        state: every tensor of the trained model, its frozen network included.
        record: how training and refinement went.
        scores: the rows of the scores file.
    """

    state: dict[str, Tensor]
    record: Record
    scores: pd.DataFrame

    def before_test(self) -> dict[str, str]:
        """Digest of everything that is settled before a test picture is scored, by what it is."""
        found = {f"weights: {name}": _digest(tensor) for name, tensor in self.state.items()}
        found["training"] = canonical_json(self.record.training)
        found["refinement"] = canonical_json(self.record.refinement)
        for name in score_names(self.scores):
            for role in ("val", "calibration"):
                values = self.scores.loc[self.scores["role"] == role, f"score:{name}"]
                found[f"{role} scores: {name}"] = _digest(torch.tensor(values.to_numpy()))
        for evaluation in evaluate(self.record, self.scores):
            for level, scored in evaluation.levels.items():
                for rule, threshold in thresholds(scored, evaluation.score_name).items():
                    called = torch.from_numpy(threshold.calls(scored.val))
                    # A part's score is its position among all parts, tested ones too: only the verdicts are settled.
                    value = threshold.value.hex() if level == self.record.unit else ""
                    found[f"threshold: {evaluation.score_name}, {level}, {rule}"] = f"{value} {_digest(called)}"
        return found

    def everything(self) -> dict[str, str]:
        """As `before_test`, and the scores of the test rows."""
        tested = self.scores[self.scores["role"] == "test"]
        rows = {
            f"test scores: {n}": _digest(torch.tensor(tested[f"score:{n}"].to_numpy())) for n in score_names(tested)
        }
        return {**self.before_test(), **rows}


class SmallRun:
    """The plan of a preset, whose cells are computed in this process when they are asked for."""

    def __init__(self, preset: Preset, folder: Path) -> None:
        self.preset = preset
        self.folder = folder

    def outcome(self, model: str) -> Outcome:
        """Compute the one cell of a model, anew each time."""
        cell, memory, store = self.cell(model), BundleMemory(), RunStore(self.folder)
        job = Job(self.folder, self.preset, "cpu", "none")
        record, scores, files = compute_cell(cell, self.world, job, memory, store.folder(cell.id))
        state = memory.trained[training_key(cell.identity)].model.state_dict()
        return Outcome(state, store.write(record, scores, files), scores)

    def cell(self, model: str) -> PlannedCell:
        (cell,) = [cell for cell in self.plan.cells if cell.model == model]
        return cell

    @property
    def split(self) -> Split:
        """The one split of the plan."""
        return next(self.world.places()).boards[0].splits[0]

    @cached_property
    def plan(self) -> Plan:
        return make_plan(self.preset, "small")

    @cached_property
    def world(self) -> World:
        return World(self.preset)


def changed(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """What two outcomes disagree in."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@contextmanager
def one_thread() -> Iterator[None]:
    """A worker's single computing thread, in this process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _digest(tensor: Tensor) -> str:
    array = tensor.detach().cpu().contiguous().numpy()
    return hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()
