"""Where models look in the parts they get most wrong, by the weights that the run's cells have kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from reshift.benchmark.catalog import find_class
from reshift.benchmark.deploy.overlay import blended
from reshift.benchmark.deploy.pictures import read_units
from reshift.benchmark.deploy.scorers import TorchScorer
from reshift.benchmark.deploy.units import Unit
from reshift.benchmark.kept_model import KeptCell, kept_cells, kept_model
from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import DatasetSpec, Preset
from reshift.benchmark.report_command import SIDE, jpeg
from reshift.benchmark.world import PROTOCOLS, World
from reshift.datamodules.dataset import DataError, Dataset
from reshift.datamodules.image_file import Pixels
from reshift.datamodules.rows import ABSENT, rows_of
from reshift.datamodules.test_shift import disturbed
from reshift.results.plan import Plan, PlannedCell
from reshift.results.report.examined import WrongPart
from reshift.results.report.gallery import WrongMaps
from reshift.results.store import RunStore
from reshift.results.weights_file import WEIGHTS_FILE, WeightsError
from reshift.splits.protocol import Protocol, Split

_AGREEMENT = 0.01
"""Of the range of a cell's test scores: how far the rebuilt model may be from them, which another device may be."""

Look = tuple[Pixels, NDArray[np.float32]]
"""A picture (size, size, 3) as the model saw it, and its map (size, size)."""


class NoMaps(ValueError):
    """Why a cell's model does not say where it looks; one line."""


def wrong_maps(
    wrong: Sequence[WrongPart],
    store: RunStore,
    plan: Plan,
    preset: Preset,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> WrongMaps:
    """The views of these parts as JPEG files of `SIDE` pixels, orange where the model that is wrong about them looks.

    A part is shown as a cell of its board that tests it sees it: the first, by seed and split, that kept its weights.
    Fully orange is the largest value of a board's maps, so that its pictures can be compared. A model is asked only
    once it is sure to be the cell's: the preset gives the same cell, and the model its scores. Whatever keeps it from
    that costs its maps, never the report.

    Args:
        preset: what the run was made from.
        progress: told how many cells were looked at.
    """
    kept = list(kept_cells(wrong, store, plan))
    missing: dict[int, dict[str, None]] = defaultdict(dict)
    covered = {(k.board, part) for k in kept for part in k.parts}
    for part in wrong:
        if (part.board, part.part) not in covered:
            missing[part.board][f"{part.model}: no weights of its cells are kept"] = None
    looks: dict[int, dict[str, list[Look | None]]] = defaultdict(dict)
    reached: set[str] = set()
    trouble: Exception = NoMaps("not a cell of the data and preset given; give those of the run")
    for spec in preset.datasets if kept else ():
        try:
            alone = _asked(preset, spec, kept)
            known = {cell.id for cell in make_plan(alone, plan.name, notes=False).cells}
        except Exception as error:  # a stranger's reader or model may raise anything
            trouble = error
            continue
        world = World(alone)
        for found in kept:
            if found.cell.id not in known:
                continue
            reached.add(found.cell.id)
            try:
                seen = cell_looks(found, world, store, device)
            except Exception as error:  # so may a stranger's model, and tensors that somebody altered
                missing[found.board][_line(error, found.cell)] = None
            else:
                looks[found.board] |= seen
            if progress is not None:
                progress(len(reached), len(kept))
    for found in kept:
        if found.cell.id not in reached:
            missing[found.board][_line(trouble, found.cell)] = None
    views = {(board, part): files for board, own in looks.items() for part, files in _pictures(own)}
    return WrongMaps(views, {board: "; ".join(reasons) for board, reasons in missing.items()})


def cell_looks(kept: KeptCell, world: World, store: RunStore, device: torch.device) -> dict[str, list[Look | None]]:
    """Where the cell's model looks in each view of its wrong parts, None for views that it does not test.

    Of a model of whole parts it is where each of the views moves the part's one score.

    Raises:
        NoMaps: the model gives none, or is not the one that the cell's scores are of.
        DataError: a picture that cannot be read.
    """
    model = kept_model(kept, world, store, device)
    place = world.place(kept.cell.dataset)
    table = place.dataset.table
    rows = table[table["part"].isin(kept.parts)].sort_values(["part", "view", "sample"])
    assert kept.record.scores is not None  # a record that was read has its scores
    headline = kept.tested.set_index("sample")[f"score:{kept.record.scores.names[0]}"]
    split = place.split(kept.cell.protocol, kept.cell.split)
    if model.views == "one":
        samples = [sample for sample in rows["sample"] if sample in headline.index]
        units = [Unit(sample, (place.dataset.root / sample,)) for sample in samples]
    else:
        units = list(_tested_parts(kept, place.dataset, split))
        samples = [picture for unit in units for picture in unit.pictures if picture]
    found = read_units(units, world.preset.size)
    for error in found.errors.values():
        raise DataError(error)
    # Pictures stand in the order of the units' slots, which is that of the samples.
    every = np.arange(len(samples), dtype=np.int64)
    images = disturbed(found.images, every, split.test_shift) if split.test_shift else found.images
    scorer = TorchScorer(model, kept.cell.identity["budget"]["batch_size"], device)
    maps = scorer.maps(images, found.slots)
    if maps is None:
        raise NoMaps("it gives no maps")
    off = np.abs(scorer.scores(images, found.slots) - headline.loc[[unit.name for unit in units]].to_numpy())
    if not (off <= _AGREEMENT * np.ptp(headline.to_numpy())).all() or not np.isfinite(maps).all():
        raise NoMaps(f"{WEIGHTS_FILE} does not give the scores of its record")
    looks = dict(zip(samples, zip(images.pixels, maps[found.slots != ABSENT], strict=True), strict=True))
    return {str(part): [looks.get(sample) for sample in own["sample"]] for part, own in rows.groupby("part")}


def _tested_parts(kept: KeptCell, dataset: Dataset, split: Split) -> Iterator[Unit]:
    """The cell's wrong parts with each tested picture in the slot that it had when the cell scored them."""
    rows = rows_of(dataset.table, split, "test", "all")
    samples = dataset.table["sample"].tolist()
    for part, images in zip(rows.frame["part"], rows.images.tolist(), strict=True):
        if part in kept.parts:
            pictures = tuple("" if image == ABSENT else samples[image] for image in images)
            yield Unit(part, tuple(dataset.root / name if name else None for name in pictures), pictures)


def _asked(preset: Preset, spec: DatasetSpec, kept: Sequence[KeptCell]) -> Preset:
    """No more of a preset than gives these cells on one of its data sets."""
    boards, models = {k.cell.protocol for k in kept}, {k.cell.model for k in kept}
    named = [(p.name or find_class(p.use, PROTOCOLS, Protocol).name, p) for p in preset.protocols]  # type: ignore[type-abstract]
    return replace(
        preset,
        datasets=[spec],
        protocols=[p for name, p in named if name in boards],
        models=[m for name, m, _ in World(preset).models() if name in models],
        prognoses=[],
        seeds=sorted({k.cell.seed for k in kept}),
        partial=None,
        published="",
    )


def _pictures(looks: dict[str, list[Look | None]]) -> Iterator[tuple[str, list[bytes]]]:
    """The parts of a board with a file for each of their views, all on the scale of the board's largest value."""
    largest = max(float(look[1].max()) for views in looks.values() for look in views if look is not None)
    opaque = max(largest, float(np.finfo(np.float32).tiny))
    for part, views in looks.items():
        yield part, [b"" if look is None else jpeg(_overlay(*look, opaque)) for look in views]


def _overlay(pixels: Pixels, heat: NDArray[np.float32], opaque: float) -> Pixels:
    grey = cv2.cvtColor(cv2.resize(pixels, (SIDE, SIDE)), cv2.COLOR_RGB2GRAY)
    return blended(np.asarray(grey, dtype=np.uint8), heat, opaque)


def _line(error: Exception, cell: PlannedCell) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())[:160]
    return f"{cell.model}: " + (
        text if isinstance(error, NoMaps | WeightsError | DataError) else f"{type(error).__name__}: {text}"
    )
