"""What a run knows of a model out of fold: the cells, their records, and the preset that would give them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reshift.benchmark.catalog import class_key, find_class
from reshift.benchmark.deploy.cross_fitted import CrossFitted, cross_fitted
from reshift.benchmark.planning import difference, make_plan
from reshift.benchmark.preset import DatasetSpec, ModelSpec, Preset
from reshift.benchmark.world import PROTOCOLS, World
from reshift.datamodules.dataset import Dataset
from reshift.models.base import InspectionModule
from reshift.results.plan import Plan, PlannedCell
from reshift.results.store import RunStore, Status
from reshift.splits.in_distribution import InDistribution
from reshift.splits.protocol import Protocol

_CLASS = class_key(InDistribution)["class"]


class EvidenceError(ValueError):
    """A model that a run says too little of, or a preset that is not the run's; one line with the remedy."""


@dataclass(frozen=True)
class Evidence:
    """One model on the in-distribution folds of one data set, with one seed.

    Attributes:
        preset: the run's, with this data set and this model alone.
        cell: the first fold's.
        watches_validation: whether validation chose the folds' states or hyper-parameters.
        cells: ids of the folds' records.
        fitted: what they say of the threshold.
    """

    preset: Preset
    spec: ModelSpec
    cls: type[InspectionModule]
    dataset: Dataset
    cell: PlannedCell
    watches_validation: bool
    cells: tuple[str, ...]
    fitted: CrossFitted


def find_evidence(preset: Preset, store: RunStore, model: str, on: str | None, seed: int | None) -> Evidence:
    """The in-distribution records of a model, once it is sure that the preset is theirs.

    Args:
        preset: what the run was made from; its cells must have the ids that the run's have.
        model: as boards call it.
        on: data set as boards call it; None where the model has folds on one only.
        seed: of the cells; the smallest where None. One seed, so that every part counts once.

    Raises:
        EvidenceError: no such cells, some without a record, an oracle, or another preset, data or code.
        RecordError: a damaged record.
        ValueError: too few good parts, see `cross_fitted`.
    """
    plan = store.read_plan()
    cells = _cells(plan, store, model, on, seed)
    row = next(((spec, cls) for name, spec, cls in World(preset).models() if name == model), None)
    if row is None:
        raise EvidenceError(f"{model} is in {store.path}, but not in this preset; give what the run was given")
    spec, cls = row
    if spec.selection == "best_test":
        raise EvidenceError(f"{model}: an oracle chose its state on test data; there is none when all data train")
    if spec.cross_fit and spec.cross_fit.needs_verified:
        raise EvidenceError(f"{model}: its search asks verified parts, which a split on all data does not reserve")
    data, dataset = _dataset(preset, cells[0].dataset)
    board = cells[0].protocol
    protocols = [p for p in preset.protocols if (p.name or _named(p.use)) == board]
    alone = replace(
        preset,
        datasets=[data],
        protocols=protocols or preset.protocols,
        models=[spec],
        prognoses=[],
        seeds=[cells[0].seed],
        partial=None,
        published="",
    )
    if reason := difference(replace(plan, cells=tuple(cells)), make_plan(alone, plan.name, notes=False)):
        raise EvidenceError(
            f"{store.path} was made from something else: {reason}; give refit the preset and arguments of that run"
        )
    found = [store.read(cell.id) for cell in cells]
    watches = spec.selection == "best_validation" and any(record.training is not None for record, _ in found)
    pointer = found[0][0].scores
    assert pointer is not None  # a record that was read has its scores
    fitted = cross_fitted(pointer.names[0], {record.split: frame for record, frame in found})
    return Evidence(alone, spec, cls, dataset, cells[0], watches, tuple(cell.id for cell in cells), fitted)


def _cells(plan: Plan, store: RunStore, model: str, on: str | None, seed: int | None) -> Sequence[PlannedCell]:
    rows = [cell for cell in plan.cells if cell.model == model and not cell.forecasts]
    if not rows:
        known = ", ".join(sorted({cell.model for cell in plan.cells if not cell.forecasts}))
        raise EvidenceError(f"{store.path} has no model {model!r}; its boards have {known}")
    folds = [c for c in rows if c.identity["protocol"]["class"] == _CLASS and not c.not_applicable]
    if not folds:
        raise EvidenceError(
            f"{store.path} has no in_distribution cells of {model}: without scores out of fold there is no threshold; "
            f"run that protocol too"
        )
    datasets = sorted({cell.dataset for cell in folds})
    if on not in datasets and not (on is None and len(datasets) == 1):
        raise EvidenceError(f"{model} has in_distribution folds on {', '.join(datasets)}; say which with --on")
    folds = [cell for cell in folds if cell.dataset == (on or datasets[0])]
    seeds = sorted({cell.seed for cell in folds})
    if seed is not None and seed not in seeds:
        raise EvidenceError(f"{model} has no in_distribution folds with seed {seed}; there are {seeds}")
    chosen = seeds[0] if seed is None else seed
    # A preset may have several boards of in-distribution folds; the first is taken.
    cells = [cell for cell in folds if cell.seed == chosen and cell.protocol == folds[0].protocol]
    open_cells = [cell for cell in cells if store.status(cell.id) is not Status.DONE]
    if open_cells:
        raise EvidenceError(
            f"{len(open_cells)} of {len(cells)} in_distribution cells of {model} have no record; finish the run, "
            f"`reshift status {store.path}` says what is missing"
        )
    return cells


def _dataset(preset: Preset, name: str) -> tuple[DatasetSpec, Dataset]:
    places = World(replace(preset, protocols=[])).places()
    for spec, place in zip(preset.datasets, places, strict=True):
        if place.dataset.name == name:
            return spec, place.dataset
    raise EvidenceError(f"this preset has no data set {name!r}; give refit the preset and arguments of that run")


def _named(use: str) -> str:
    return find_class(use, PROTOCOLS, Protocol).name  # type: ignore[type-abstract]
