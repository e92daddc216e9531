"""One cell: build the model, train it on the split, score validation and test, and say how it went."""

from __future__ import annotations

import platform
import random
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

import reshift
from reshift.benchmark.catalog import build, class_key, full_arguments
from reshift.benchmark.fitting import Fitting, PrefixMemory
from reshift.benchmark.preset import ModelSpec, RefinementSpec
from reshift.benchmark.scoring import score_rows
from reshift.benchmark.sharing import training_key
from reshift.benchmark.tuning import configurations, headline_column, trial_report, validation_value
from reshift.benchmark.worker import Job
from reshift.benchmark.world import World
from reshift.datamodules.dataset import Dataset
from reshift.datamodules.feature_cache import FrozenFeatures
from reshift.datamodules.inspection_data import InspectionData
from reshift.models.base import InspectionModule
from reshift.refinement.loop import refine
from reshift.refinement.policies import Policy
from reshift.refinement.quality import removal_quality
from reshift.results.plan import PlannedCell, canonical_json
from reshift.results.record import Record
from reshift.splits.protocol import Split, unit_hash

KEPT_WEIGHTS_BYTES = 20 * 2**20


@dataclass(frozen=True)
class Trained:
    """A trained model, and what a record says of its training and of its refinement."""

    model: InspectionModule
    training: dict[str, Any] | None
    refinement: dict[str, Any] | None


class BundleMemory:
    """What the cells of a bundle share: trained models by `training_key`, first phases by trial."""

    def __init__(self) -> None:
        self.trained: dict[str, Trained] = {}
        self.prefixes: dict[int, PrefixMemory] = defaultdict(PrefixMemory)


def compute_cell(
    cell: PlannedCell, world: World, job: Job, memory: BundleMemory, folder: Path
) -> tuple[Record, pd.DataFrame]:
    """Train and score a planned cell.

    Args:
        memory: shared by the cells of one bundle, see `sharing`.
        folder: the cell's own, where its weights may go.

    Returns:
        The record without its scores pointer, and the scores frame of `results.scores_file`.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    spec, cls = next((s, c) for name, s, c in world.models() if name == cell.model)
    place = world.place(cell.dataset)
    dataset, split = place.dataset, place.split(cell.protocol, cell.split)
    device = torch.device(job.device)

    def data_for(model: InspectionModule) -> InspectionData:
        return _data(model, dataset, split, world.preset.size, cell.identity["budget"]["batch_size"], cell.seed, device)

    key = training_key(cell.identity)
    if key not in memory.trained:
        memory.trained[key] = _tuned(cell, spec, cls, data_for, world.preset.trials, memory, device)
    trained = memory.trained[key]
    data = data_for(trained.model)
    scores = pd.concat([_scored(trained.model, data, role, device) for role in ("val", "test")], ignore_index=True)
    seconds = time.monotonic() - clock
    kept = _keep_weights(trained.model, folder) if job.keep_weights == "best" else "not asked for"
    record = Record(
        cell=cell.id,
        identity=cell.identity,
        dataset=cell.dataset,
        model=cell.model,
        protocol=cell.protocol,
        split=cell.split,
        seed=cell.seed,
        held_out=cell.held_out,
        control_of=cell.control_of,
        breaks=cell.breaks,
        unit="part" if data.views == "all" else "image",
        counts=_counts(split, dataset.table),
        training=trained.training,
        refinement=trained.refinement,
        run={**_circumstances(device), "started": started.isoformat(), "seconds": seconds, "weights": kept},
    )
    return record, scores


def extractor_key(extractor: nn.Module) -> str:
    """Names a frozen network by its class, structure and every tensor: the key of its cached features."""
    digest = sha256(canonical_json(class_key(type(extractor))).encode())
    digest.update(repr(extractor).encode())
    for name, tensor in extractor.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return f"{type(extractor).__name__}-{digest.hexdigest()}"


def _tuned(
    cell: PlannedCell,
    spec: ModelSpec,
    cls: type[InspectionModule],
    data_for: Callable[[InspectionModule], InspectionData],
    trials: int,
    memory: BundleMemory,
    device: torch.device,
) -> Trained:
    """Train every configuration that tuning gives this model and keep the best on validation."""
    args = full_arguments(cls, spec.args, f"model {spec.name or spec.use}")
    tried = configurations(cls, args, trials)
    values: list[tuple[float, float]] = []
    best: Trained | None = None
    for trial, changes in enumerate(tried):
        new_model = _builder(cls, {**args, **changes}, _seed(cell.seed, "init"))
        data = data_for(new_model())
        trained, loss = _fitted(cell, spec, new_model, data, memory.prefixes[trial], device)
        if len(tried) == 1:
            return trained
        value = validation_value(trained.model, _scored(trained.model, data, "val", device), loss)
        if best is None or value < min(values):
            best = trained
        values.append(value)
    assert best is not None
    return replace(best, training={**(best.training or {}), **trial_report(tried, values, values.index(min(values)))})


def _fitted(
    cell: PlannedCell,
    spec: ModelSpec,
    new_model: Callable[[], InspectionModule],
    data: InspectionData,
    prefix: PrefixMemory,
    device: torch.device,
) -> tuple[Trained, float]:
    """One configuration trained, and its lowest validation loss (infinite for closed forms)."""
    budget, select_after, refinement = cell.identity["budget"], new_model().select_after, spec.refinement
    judge: Callable[[InspectionModule], float] | Literal["validation", "last"] = "validation"
    if spec.selection == "last":
        judge = "last"
    elif spec.selection == "best_test":
        judge = partial(_oracle, data=data, device=device)
    fitting = Fitting(
        new_model,
        data,
        steps=budget["steps"],
        every=max(1, budget["steps"] // budget["checks"]),
        select_from=max(select_after, refinement.first if refinement else 0.0),
        seed=_seed(cell.seed, "training"),
        device=device,
        by=refinement.by if refinement else "",
        memory=prefix if refinement else None,
        judge=judge,
    )
    trace = _train(fitting, data, refinement, budget["steps"])
    training = fitting.finish()
    return Trained(fitting.model, training, trace), fitting.best_loss


def _oracle(model: InspectionModule, data: InspectionData, device: torch.device) -> float:
    # the only place where test labels reach a fit; its row is marked by name
    training = model.training
    scored = _scored(model, data, "test", device)
    model.train(training)
    return -float(roc_auc_score(scored["label"], scored[headline_column(scored)]))


def _builder(cls: type[InspectionModule], args: dict[str, Any], seed: int) -> Callable[[], InspectionModule]:
    def new_model() -> InspectionModule:
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        return build(cls, args)

    return new_model


def _data(
    model: InspectionModule,
    dataset: Dataset,
    split: Split,
    size: int,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> InspectionData:
    extractor = model.extractor()
    features = None if extractor is None else FrozenFeatures(extractor, extractor_key(extractor), device)
    return InspectionData(
        dataset,
        split,
        size=size,
        views=model.views,
        learns_from=model.learns_from,
        train_copies=model.train_copies,
        score_copies=model.score_copies,
        augmentation=model.augmentation(size),
        score_augmentation=model.score_augmentation(size),
        batch_size=batch_size,
        seed_order=_seed(seed, "order"),
        seed_augmentation=_seed(seed, "augmentation"),
        features=features,
    )


def _train(fitting: Fitting, data: InspectionData, spec: RefinementSpec | None, steps: int) -> dict[str, Any] | None:
    kind = fitting.model.trained_by
    if kind == "nothing":
        return None
    rows = data.rows("train")
    candidates = rows[rows["observed_label"] == 0]
    names = candidates["sample"].tolist()
    if spec is None:
        fitting.fit(dict.fromkeys(names, 1.0), steps, True)
        return None
    policy = _policy(spec)
    if kind == "fit":
        # Closed forms have no steps: each phase counts one, and every phase is a fit from scratch.
        steps, first = 1 + policy.rounds, 1
    else:
        first = max(1, round(spec.first * steps))
    truth = dict(zip(names, candidates["label"].tolist(), strict=True))
    trace = refine(
        fitting.fit,
        fitting.score,
        names,
        policy,
        steps=steps,
        first=first,
        start="scratch" if kind == "fit" else spec.start,
        truth=truth if policy.oracle else None,
    )
    removed = [name for round_ in trace.rounds for name in round_.removed]
    component = dict(zip(names, candidates["component"].tolist(), strict=True))
    return {**trace.as_dict(), "quality": removal_quality(removed, truth, component)}


def _policy(spec: RefinementSpec) -> Policy:
    class Built:
        def __init__(self, policy: Policy) -> None:
            self.policy = policy

    return build(Built, {"policy": spec.policy}).policy


def _scored(model: InspectionModule, data: InspectionData, role: Any, device: torch.device) -> pd.DataFrame:
    scores = score_rows(model, data.score_loader(role), device)
    return pd.concat([data.rows(role), scores.add_prefix("score:")], axis=1)


def _counts(split: Split, table: pd.DataFrame) -> dict[str, int]:
    part = table.set_index("sample")["part"]
    counts = {"dropped": split.dropped}
    for role in ("train", "val", "test", "calibration"):
        ids = list(getattr(split, role))
        counts[f"{role}_images"] = len(ids)
        counts[f"{role}_parts"] = int(part.loc[ids].nunique())
    observed = split.observed_labels(table).loc[list(split.train)]
    counts["train_observed_defective"] = int(observed.sum())
    return counts


def _seed(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, so that a change in one draw moves nothing else."""
    return int(unit_hash(seed, purpose) * 2**31)


def _keep_weights(model: InspectionModule, folder: Path) -> str:
    """Save the trained tensors of a small model; what was done, for the record."""
    frozen = model.extractor()
    skipped = {id(t) for t in (*frozen.parameters(), *frozen.buffers())} if frozen is not None else set()
    state = {k: v.detach().cpu() for k, v in model.state_dict(keep_vars=True).items() if id(v) not in skipped}
    size = sum(v.numel() * v.element_size() for v in state.values())
    if size > KEPT_WEIGHTS_BYTES:
        return f"not kept: {size / 2**20:.0f} MiB is above the limit of {KEPT_WEIGHTS_BYTES // 2**20}"
    torch.save(state, folder / "weights.pt")
    return "weights.pt"


def _circumstances(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": f"{device.type}: {name}",
        "git": _git_revision(),
        "versions": {
            "reshift": reshift.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }


@cache
def _git_revision() -> str:
    """Revision of the checkout the code runs from, "+" where it has uncommitted changes, "" outside a checkout."""
    here = Path(reshift.__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
