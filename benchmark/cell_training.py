"""From a planned cell to its trained model: tuning, refinement, and which state is kept."""

from __future__ import annotations

import itertools
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from sklearn.metrics import roc_auc_score

from reshift.benchmark.catalog import build, full_arguments
from reshift.benchmark.cell_data import purpose_seed, scored
from reshift.benchmark.cost import Stopwatch
from reshift.benchmark.fitting import Fitting, PrefixMemory
from reshift.benchmark.preset import ModelSpec, RefinementSpec
from reshift.benchmark.seeding import seed_everything
from reshift.benchmark.suspects import suspect_weights
from reshift.benchmark.tuning import configurations, headline_column, trial_report, validation_value
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.progress import Progress
from reshift.models.base import InspectionModule
from reshift.refinement.loop import refine
from reshift.refinement.policies import Policy
from reshift.refinement.quality import removal_quality
from reshift.results.plan import PlannedCell

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A trained model, and what a record says of its training and of its refinement."""

    model: InspectionModule
    training: dict[str, Any] | None
    refinement: dict[str, Any] | None


class BundleMemory:
    """What the cells of a bundle share: models and who trained them by `training_key`, first phases by trial."""

    def __init__(self) -> None:
        self.trained: dict[str, Trained] = {}
        self.trained_by: dict[str, str] = {}
        self.prefixes: dict[int, PrefixMemory] = defaultdict(PrefixMemory)


def train_cell(
    cell: PlannedCell,
    spec: ModelSpec,
    cls: type[InspectionModule],
    data_for: Callable[[InspectionModule], InspectionData],
    trials: int,
    memory: BundleMemory,
    device: torch.device,
    clock: Stopwatch,
    progress: Progress | None = None,
) -> Trained:
    """Train every configuration that tuning gives this model and keep the best on validation.

    Args:
        clock: runs while a model is fitted, the search for suspects and looks at validation included.
        progress: told how many optimiser steps are made, of all that are to be made.
    """
    args = full_arguments(cls, spec.args, f"model {spec.name or spec.use}")
    tried = configurations(cls, args, trials)
    after_step = None if progress is None else _counting(progress, len(tried) * cell.identity["budget"]["steps"])
    values: list[tuple[float, float]] = []
    best: Trained | None = None
    for trial, changes in enumerate(tried):
        if len(tried) > 1:
            _log.info("configuration %d of %d: %s", trial + 1, len(tried), changes or "as given")
        new_model = _builder(cls, {**args, **changes}, purpose_seed(cell.seed, "init"))
        trained, loss = _fitted(cell, spec, new_model, data_for, memory.prefixes[trial], device, clock, after_step)
        if len(tried) == 1:
            return trained
        value = validation_value(trained.model, scored(trained.model, data_for(trained.model), "val", device), loss)
        if best is None or value < min(values):
            best = trained
        values.append(value)
    assert best is not None
    return replace(best, training={**(best.training or {}), **trial_report(tried, values, values.index(min(values)))})


def _fitted(
    cell: PlannedCell,
    spec: ModelSpec,
    new_model: Callable[[], InspectionModule],
    data_for: Callable[[InspectionModule], InspectionData],
    prefix: PrefixMemory,
    device: torch.device,
    clock: Stopwatch,
    after_step: Callable[[], None] | None,
) -> tuple[Trained, float]:
    """One configuration trained, and its lowest validation loss (infinite for closed forms)."""
    untrained = new_model()
    data, select_after = data_for(untrained), untrained.select_after
    budget, refinement = cell.identity["budget"], spec.refinement
    judge: Callable[[InspectionModule], float] | Literal["validation", "last"] = "validation"
    if spec.selection == "last":
        judge = "last"
    elif spec.selection == "best_test":
        judge = partial(_oracle, data=data, device=device)
    if select_after:
        _log.info("pre-training takes the first %g %% of %d steps", 100 * select_after, budget["steps"])
    fitting = Fitting(
        new_model,
        data,
        steps=budget["steps"],
        every=max(1, budget["steps"] // budget["checks"]),
        select_from=max(select_after, refinement.first if refinement else 0.0),
        seed=purpose_seed(cell.seed, "training"),
        device=device,
        precision=cell.identity.get("precision", "fp32"),
        compiled=cell.identity.get("compile", False),
        by=refinement.by if refinement else "",
        memory=prefix if refinement else None,
        judge=judge,
        after_step=after_step,
    )
    trace: dict[str, Any] | None
    with clock:
        if spec.cross_fit is not None:
            weights, trace = suspect_weights(cell, spec, data_for, device)
            _log.info("suspects: %d of %d candidates removed", sum(w <= 0 for w in weights.values()), len(weights))
            fitting.fit(weights, budget["steps"], True)
        else:
            trace = _train(fitting, data, refinement, budget["steps"])
        training = fitting.finish()
    return Trained(fitting.model, training, trace), fitting.best_loss


def _counting(progress: Progress, total: int) -> Callable[[], None]:
    steps = itertools.count(1)
    return lambda: progress(next(steps), total)


def _oracle(model: InspectionModule, data: InspectionData, device: torch.device) -> float:
    # the only place where test labels reach a fit; its row is marked by name
    training = model.training
    rows = scored(model, data, "test", device)
    model.train(training)
    return -float(roc_auc_score(rows["label"], rows[headline_column(rows)]))


def _builder(cls: type[InspectionModule], args: dict[str, Any], seed: int) -> Callable[[], InspectionModule]:
    def new_model() -> InspectionModule:
        seed_everything(seed)
        return build(cls, args)

    return new_model


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
