"""Cells that kept their weights, and their models built again from these."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import pandas as pd
import torch

from reshift.benchmark.catalog import build, full_arguments
from reshift.benchmark.cell import KEPT_WEIGHTS_BYTES
from reshift.benchmark.cell_data import cell_data, purpose_seed
from reshift.benchmark.seeding import seed_everything
from reshift.benchmark.tuning import configurations
from reshift.benchmark.world import World
from reshift.models.base import InspectionModule, TrainingInfo
from reshift.results.plan import Plan, PlannedCell
from reshift.results.record import Record, RecordError
from reshift.results.report.examined import WrongPart
from reshift.results.report.views import CellPlaces
from reshift.results.store import RunStore
from reshift.results.weights_file import WEIGHTS_FILE, WeightsError, read_weights


@dataclass(frozen=True)
class KeptCell:
    """A finished cell with its weights, its test rows, and the wrong parts of its board that it tests."""

    board: int
    cell: PlannedCell
    record: Record
    tested: pd.DataFrame
    parts: frozenset[str]


def kept_cells(wrong: Sequence[WrongPart], store: RunStore, plan: Plan) -> Iterator[KeptCell]:
    """For each of the parts that has one, the cell to ask: of its board and model, finished, its weights kept."""
    boards = CellPlaces(plan).boards
    for board in sorted({part.board for part in wrong}):
        own = [part for part in wrong if part.board == board]
        left = {part.part for part in own}
        row = (*boards[board], own[0].model)
        cells = [c for c in plan.cells if (c.dataset, c.protocol, c.model) == row and not c.control_of]
        for cell in sorted(cells, key=lambda c: (c.seed, c.split)):
            if not left or not (store.folder(cell.id) / WEIGHTS_FILE).is_file():
                continue
            try:
                record, scores = store.read(cell.id)
            except RecordError:
                continue  # no board shows it either
            tested = scores[scores["role"] == "test"]
            if parts := frozenset(left.intersection(tested["part"])):
                left -= parts
                yield KeptCell(board, cell, record, tested, parts)


def kept_model(kept: KeptCell, world: World, store: RunStore, device: torch.device) -> InspectionModule:
    """The model of a cell, built as the cell built it, with the tensors that it kept.

    Raises:
        WeightsError: weights that were altered, a file too large to be one, or tensors of another model.
        Exception: whatever torch raises at a file that was damaged or forged.
    """
    cell, budget = kept.cell, kept.cell.identity["budget"]
    spec, cls = next((s, c) for name, s, c in world.models() if name == cell.model)
    args = full_arguments(cls, spec.args, f"model {cell.model}")
    chosen = (kept.record.training or {}).get("chosen", 0)
    changes = configurations(cls, args, world.preset.trials)[chosen]
    seed_everything(purpose_seed(cell.seed, "init"))
    model = build(cls, {**args, **changes})
    place = world.place(cell.dataset)
    split = place.split(cell.protocol, cell.split)
    data = cell_data(model, place.dataset, split, world.preset.size, budget["batch_size"], cell.seed, device)
    model.prepare(TrainingInfo(budget["steps"], data.class_counts, data.n_groups, data.n_views, data.size))
    weights = BytesIO(read_weights(store.folder(cell.id), kept.record))
    with zipfile.ZipFile(weights) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > 2 * KEPT_WEIGHTS_BYTES:
            raise WeightsError(f"{WEIGHTS_FILE} is larger than any that a cell keeps")
    weights.seek(0)  # torch reads from where it stands
    missing, unexpected = model.load_state_dict(
        torch.load(weights, map_location="cpu", weights_only=True), strict=False
    )
    frozen = model.extractor()
    own = {id(tensor) for tensor in (*frozen.parameters(), *frozen.buffers())} if frozen is not None else set()
    rebuilt = {name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in own}
    if unexpected or not rebuilt.issuperset(missing):
        raise WeightsError(f"{WEIGHTS_FILE} holds the tensors of another model")
    return model
