"""Turns a preset into a plan: every cell with its identity, before the first one runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any

from reshift.benchmark.catalog import build, class_key, find_class, full_arguments
from reshift.benchmark.inputs import inputs_hash
from reshift.benchmark.near_duplicate_notes import near_duplicate_notes
from reshift.benchmark.preset import CrossFitSpec, ModelSpec, Preset, PrognosisSpec, published_file
from reshift.benchmark.suspects import ranker_of
from reshift.benchmark.tuning import configurations
from reshift.benchmark.world import MODELS, Board, World
from reshift.datamodules.dataset import PIPELINE_VERSION, Dataset
from reshift.datamodules.mask_cache import masks_hash, without_mask
from reshift.models.backbone import Backbone
from reshift.models.base import InspectionModule
from reshift.models.prognosis import Prognosis
from reshift.refinement.policies import Policy
from reshift.results.identity_difference import differing_fields
from reshift.results.plan import Plan, PlannedCell, identity_hash
from reshift.results.published import read_published
from reshift.splits.protocol import Split
from reshift.splits.samples import fingerprint


def make_plan(preset: Preset, name: str, notes: bool = True) -> Plan:
    """Read the data, draw and verify every split, and name every cell.

    Cells come seed by seed, so that an interrupted run has the first seed of everything before the second of anything.

    Args:
        notes: whether to write what boards say below their tables, for which every picture is decoded; whoever only
            compares cells needs none.

    Raises:
        DataError, TableError, SplitError, LookupFailure, ValueError: one line each, see where they are raised.
    """
    world = World(preset)
    models = [(name, spec, cls, _model_key(preset, spec, cls)) for name, spec, cls in world.models()]
    prognoses = [(name, spec, _prognosis_key(preset, spec, cls)) for name, spec, cls in world.prognoses()]
    pairs = [
        (
            place.dataset,
            board,
            split,
            {**data_key, **_split_key(preset, board, split)},
            _Applicability(split, place.dataset),
        )
        for place in world.places()
        for data_key in (_data_key(preset, place.dataset),)
        for board in place.boards
        for split in board.splits
    ]
    cells: list[PlannedCell] = []
    masks: dict[str, str] = {}
    for seed in preset.seeds:
        for dataset, board, split, split_key, applicability in pairs:
            for row, method, key in prognoses if split.over_sequences else ():
                if any(fnmatch(board.name, pattern) for pattern in method.protocols):
                    cells.append(_cell({**split_key, **key, "seed": seed}, dataset.name, row, board, split, seed, ""))
            for model, spec, cls, model_key in models if not split.over_sequences else ():
                runs_here = any(fnmatch(board.name, pattern) for pattern in spec.protocols)
                if runs_here and seed in (spec.seeds or preset.seeds):
                    identity = {**split_key, **model_key, **_mask_key(preset, dataset, cls, masks), "seed": seed}
                    _check_verified(model, spec, board, split)
                    reason = applicability.reason_against(cls)
                    cells.append(_cell(identity, dataset.name, model, board, split, seed, reason))
    first: dict[str, PlannedCell] = {}
    for cell in cells:
        twin = first.setdefault(cell.id, cell)
        if twin is not cell:
            raise ValueError(
                f"{cell.model} on {cell.dataset}/{cell.split} is planned twice, for board {twin.protocol} and for "
                f"{cell.protocol} with the same arguments; drop one of them, or choose other splits or arguments"
            )
    skips = tuple((p.dataset.name, board, reason) for p in world.places() for board, reason in p.skipped)
    said = tuple(_all_notes(preset, world)) if notes else ()
    figures = published_file(preset)
    published = read_published(figures) if figures else ()
    if preset.partial:
        preset.partial.check_models([model for model, *_ in models])
    errors = {place.dataset.name: place.label_error for place in world.places() if place.label_error}
    return Plan(name, inputs_hash(preset), tuple(cells), skips, said, published, preset.partial, errors)


def file_hashes(value: Any) -> Any:
    """Replace every path to an existing file by its content's hash, so that an identity does not know folders."""
    if isinstance(value, dict):
        return {key: file_hashes(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [file_hashes(item) for item in value]
    if isinstance(value, str | Path) and Path(value).is_file():
        return {"sha256": hashlib.sha256(Path(value).read_bytes()).hexdigest()}
    return str(value) if isinstance(value, Path) else value


def difference(old: Plan, new: Plan) -> str:
    """Say in a line what keeps two plans from sharing a folder, or "" where their cells are the same."""
    before = {(c.dataset, c.protocol, c.split, c.model, c.seed): c for c in old.cells}
    after = {(c.dataset, c.protocol, c.split, c.model, c.seed): c for c in new.cells}
    if {c.id for c in old.cells} == {c.id for c in new.cells} and before.keys() == after.keys():
        return ""
    found: list[str] = []
    for key in sorted(before.keys() & after.keys()):
        if before[key].id != after[key].id:
            where = ", ".join(differing_fields(before[key].identity, after[key].identity))
            found.append(f"{' / '.join(map(str, key))} differs in {where}")
            break
    for label, only in (
        ("only in the folder", before.keys() - after.keys()),
        ("only asked for now", after.keys() - before.keys()),
    ):
        if only:
            found.append(f"{len(only)} cells {label}, e.g. {' / '.join(map(str, min(only)))}")
    return "; ".join(found)


def _model_key(preset: Preset, spec: ModelSpec, cls: type[InspectionModule]) -> dict[str, Any]:
    where = f"model {spec.name or spec.use}"
    args = full_arguments(cls, spec.args, where)
    refinement = None
    if spec.refinement is not None:
        policy = full_arguments(_Refined, {"policy": spec.refinement.policy}, where)
        refinement = {**asdict(spec.refinement), **policy}
    tuning = {}
    if len(configurations(cls, args, preset.trials)) > 1:
        if spec.selection != "best_validation":
            raise ValueError(
                f"{where}: {preset.trials} trials are chosen on validation, and selection {spec.selection!r} does "
                f"not look at it; give it selection best_validation, or the preset trials: 1"
            )
        space = {name: asdict(range_) for name, range_ in cls.space.items()}
        tuning = {"tuning": {"trials": preset.trials, "space": space}}
    return {
        **tuning,
        **_built_key(cls, args),
        "refinement": refinement,
        **_cross_fit_key(preset, spec, cls, where),
        "budget": {
            "steps": spec.steps or preset.steps,
            "batch_size": spec.batch_size or preset.batch_size,
            "checks": preset.checks,
        },
        "selection": spec.selection,
        # Named where it departs from the default alone, so that cells from before there was a choice keep their ids.
        **({"precision": preset.precision} if preset.precision != "fp32" and _trains(cls) else {}),
        **({"compile": True} if preset.compile and _trains(cls) else {}),
    }


def _prognosis_key(preset: Preset, spec: PrognosisSpec, cls: type[Prognosis]) -> dict[str, Any]:
    args = full_arguments(cls, spec.args, f"prognosis {spec.name or spec.use}")
    return {**_built_key(cls, args), "limit": preset.limit}


def _cross_fit_key(preset: Preset, spec: ModelSpec, cls: type[InspectionModule], where: str) -> dict[str, Any]:
    """What is searched for suspects, which cells may share, and what is done with them; nothing without a search."""
    found = spec.cross_fit
    if found is None:
        return {}
    ranker = ranker_of(spec, found)
    by = find_class(ranker.use, MODELS, InspectionModule)
    if by.views != cls.views:
        raise ValueError(
            f"{where}: its rows are views {cls.views!r} and those of ranker {ranker.use} {by.views!r}; take a ranker "
            f"that works on the same rows"
        )
    return {
        "cross_fit": {
            "search": {
                **_built_key(by, full_arguments(by, ranker.args, f"{where}, ranker {ranker.use}")),
                "steps": ranker.steps or spec.steps or preset.steps,
                "over": found.over,
                "folds": found.folds,
                "repeats": found.repeats,
                "verified": found.needs_verified,
            },
            "use": found.use,
            "budget": found.budget,
            "alpha": found.alpha,
        }
    }


def _check_verified(model: str, spec: ModelSpec, board: Board, split: Split) -> None:
    if spec.cross_fit and spec.cross_fit.needs_verified and not split.calibration:
        raise ValueError(
            f"model {model} on board {board.name}, split {split.name}: an estimated budget and an abstaining test need "
            f"verified parts, and this split reserves none; take protocol contamination_verified, or state the budget "
            f"and leave alpha out"
        )


def _built_key(cls: type, args: dict[str, Any]) -> dict[str, Any]:
    """Class and arguments, and which weights the hub gave; a file's are in the arguments.

    Built once here, so that arguments that cannot work and weights that cannot be had stop a run before it starts.
    """
    backbone = getattr(build(cls, args), "backbone", None)
    hub = backbone.weights_hash if args.get("weights") == "hub" and isinstance(backbone, Backbone) else None
    return {"model": {**class_key(cls), "args": file_hashes(args)}, "weights": hub}


def _data_key(preset: Preset, dataset: Dataset) -> dict[str, Any]:
    return {
        "dataset": {"name": dataset.name, "version": dataset.version, "fingerprint": fingerprint(dataset.table)},
        "size": preset.size,
        "pipeline": PIPELINE_VERSION,
    }


def _mask_key(preset: Preset, dataset: Dataset, cls: type[InspectionModule], masks: dict[str, str]) -> dict[str, Any]:
    """The masks' content where it changes what a cell leaves behind: the fingerprint knows their paths only.

    Args:
        masks: hashes by data set, filled as they are needed; every mask file is read for one.
    """
    judged = preset.localise and cls.views == "one" and "anomaly_map" in _overridden(cls)
    if not (judged or cls.needs_masks) or "mask" not in dataset.table or not (dataset.table["mask"] != "").any():
        return {}
    if dataset.name not in masks:
        masks[dataset.name] = masks_hash(dataset)
    return {**({"localise": True} if judged else {}), "masks": masks[dataset.name]}


def _split_key(preset: Preset, board: Board, split: Split) -> dict[str, Any]:
    named: dict[str, Any] = {"name": split.name, "digest": split.digest}
    if split.test_shift:
        named["trains_as"] = replace(split, test_shift=None).digest
    elif board.cls.trains_once:
        named["trains_as"] = replace(split, test=()).digest
    return {
        "protocol": {**class_key(board.cls), "args": file_hashes(board.args), "seed": preset.split_seed},
        "split": named,
    }


class _Refined:
    """Lets `full_arguments` check a policy given by class_path."""

    def __init__(self, policy: Policy) -> None: ...


def _cell(
    identity: dict[str, Any], dataset: str, model: str, board: Board, split: Split, seed: int, reason: str
) -> PlannedCell:
    return PlannedCell(
        id=identity_hash(identity),
        identity=identity,
        dataset=dataset,
        model=model,
        protocol=board.name,
        split=split.name,
        seed=seed,
        held_out=split.held_out,
        control_of=split.control_of,
        breaks=split.breaks,
        not_applicable=reason,
    )


class _Applicability:
    """Why a model cannot learn from a split; the labels are looked at once for all models and seeds."""

    def __init__(self, split: Split, dataset: Dataset) -> None:
        self.split = split
        self.dataset = dataset

    def reason_against(self, cls: type[InspectionModule]) -> str:
        """In a few words, "" where it can."""
        if cls.needs_masks and self._bare:
            return f"{self._bare} defective images to learn from have no mask"
        if cls.learns_from == "good" and 0 not in self._classes:
            return "training holds no sample observed as good"
        if cls.learns_from == "labels" and len(self._classes) < 2 and _learns(cls):
            return f"training holds one class only ({'good' if 0 in self._classes else 'defective'})"
        return ""

    @cached_property
    def _classes(self) -> frozenset[int]:
        observed = self.split.observed_labels(self.dataset.table)
        return frozenset(observed.loc[list(self.split.train)].unique().tolist())

    @cached_property
    def _bare(self) -> int:
        observed = self.split.observed_labels(self.dataset.table).loc[[*self.split.train, *self.split.val]]
        return len(without_mask(self.dataset.table, observed.index[observed == 1].tolist()))


def _learns(cls: type[InspectionModule]) -> bool:
    return _trains(cls) or "fit" in _overridden(cls)


def _trains(cls: type[InspectionModule]) -> bool:
    return "training_step" in _overridden(cls)


def _overridden(cls: type[InspectionModule]) -> set[str]:
    between = cls.__mro__[: cls.__mro__.index(InspectionModule)]
    return {name for ancestor in between for name in vars(ancestor)}


def _all_notes(preset: Preset, world: World) -> Iterator[str]:
    yield from _data_notes([place.dataset for place in world.places()])
    for place in world.places():
        yield from near_duplicate_notes(place)
    yield from _notes(preset, world)


def _data_notes(datasets: list[Dataset]) -> Iterator[str]:
    # a note that several data sets share is said once; with one data set there is no need to name it
    said: dict[str, list[str]] = {}
    for dataset in datasets:
        assumed = "parts: one per image, assumed; intervals and part figures rest on that"
        for note in (*([assumed] if dataset.parts == "assumed" else []), *dataset.notes):
            said.setdefault(note, []).append(dataset.name)
    for note, names in said.items():
        yield note if len(names) == len(datasets) else f"{', '.join(names)}: {note}"


def _notes(preset: Preset, world: World) -> Iterator[str]:
    given = [m.args for m in preset.models] + [p.args for p in preset.prognoses]
    weights = {str(args["weights"]).rpartition("/")[2] for args in given if "weights" in args}
    for weight in sorted(weights):
        yield f"backbone weights: {weight}" + (" (random initialisation)" if weight == "none" else "")
    if preset.prognoses:
        yield f"prognosis: a sequence is worn out when its level reaches {preset.limit:g}"
    if not preset.models:
        return
    yield (
        f"budget: {preset.steps} optimiser steps of {preset.batch_size} rows, {preset.size} px, "
        f"{len(preset.seeds)} seed{'s' * (len(preset.seeds) > 1)}; the state with the lowest validation loss is kept; "
        + (
            f"{preset.trials} configurations of each model, its own and random ones of its space, chosen on validation"
            if preset.trials > 1
            else "no search: hyper-parameters are the preset's or defaults (tuning budget 1)"
        )
    )
    for name, _, cls in world.models() if preset.trials > 1 else ():
        yield f"{name}: " + (", ".join(f"{key} {range_}" for key, range_ in cls.space.items()) or "nothing to tune")
    if preset.precision != "fp32":
        yield f"trained by gradient in {preset.precision}, scored in fp32"
    if preset.compile:
        yield "training steps compiled by torch.compile, scored without"
    last = [name for name, spec, _ in world.models() if spec.selection == "last"]
    if last:
        yield f"scored in the last state: {', '.join(last)}"
    for name, spec, _ in world.models():
        if spec.cross_fit:
            yield f"{name}: {_search_note(spec, spec.cross_fit)}"
        if spec.steps or spec.batch_size:
            yield f"{name}: {spec.steps or preset.steps} steps of {spec.batch_size or preset.batch_size} rows"


def _search_note(spec: ModelSpec, found: CrossFitSpec) -> str:
    fits = found.folds * found.repeats
    budget = "the estimated share" if found.budget is None else f"the top {100 * found.budget:g} %"
    unless = (
        "" if found.alpha is None else f", unless no contamination stands at {found.alpha:g} against verified parts"
    )
    return (
        f"{budget} of the training images, by {fits} cross-fits of {ranker_of(spec, found).use} over {found.over} on "
        f"top of the budget, used as {found.use!r}{unless}"
    )
