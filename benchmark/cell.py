"""One cell: train its model on the split, score validation and test, and say how it went."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pandas as pd
import torch

from reshift.benchmark.cell_data import cell_data, role_counts, scored
from reshift.benchmark.cell_training import BundleMemory, train_cell
from reshift.benchmark.circumstances import circumstances, told
from reshift.benchmark.cost import PeakMemory, Stopwatch, open_caches, parameter_counts
from reshift.benchmark.inference_cost import inference_cost
from reshift.benchmark.localise import localise
from reshift.benchmark.sharing import training_key
from reshift.benchmark.view_evidence import view_evidence
from reshift.benchmark.worker import Job
from reshift.benchmark.world import World
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.rows import Role
from reshift.models.base import InspectionModule
from reshift.results.localisation_file import LOCALISATION_FILE, encode_localisation
from reshift.results.plan import PlannedCell, canonical_json
from reshift.results.record import Record
from reshift.results.view_evidence_file import VIEW_EVIDENCE_FILE, encode_view_evidence
from reshift.results.weights_file import write_weights

_log = logging.getLogger(__name__)

KEPT_WEIGHTS_BYTES = 20 * 2**20


def compute_cell(
    cell: PlannedCell, world: World, job: Job, memory: BundleMemory, folder: Path
) -> tuple[Record, pd.DataFrame, dict[str, bytes]]:
    """Train and score a planned cell.

    Args:
        memory: shared by the cells of one bundle, see `sharing`.
        folder: the cell's own, where its weights may go.

    Returns:
        The record without its pointers, the scores frame of `results.scores_file`, and further files by name.
    """
    device = torch.device(job.device)
    around = circumstances(device)
    _log.info("%s", told(around))
    started, clock = datetime.now(UTC), time.monotonic()
    peak, training = PeakMemory(device), Stopwatch()
    spec, cls = next((s, c) for name, s, c in world.models() if name == cell.model)
    place = world.place(cell.dataset)
    dataset, split = place.dataset, place.split(cell.protocol, cell.split)

    def data_for(model: InspectionModule) -> InspectionData:
        return cell_data(
            model, dataset, split, world.preset.size, cell.identity["budget"]["batch_size"], cell.seed, device
        )

    def prepared(model: InspectionModule) -> InspectionData:
        with training.paused():
            data = data_for(model)
            open_caches(model, data)
        return data

    counts = role_counts(split, dataset.table)
    _log.info("data: %s", ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()))
    key = training_key(cell.identity)
    cost: dict[str, float] = {}
    # Only the cell that trains a shared model has seconds of training.
    if key not in memory.trained:
        memory.trained[key] = train_cell(cell, spec, cls, prepared, world.preset.trials, memory, device, training)
        memory.trained_by[key] = cell.id
        cost["training_seconds"] = training.seconds
        _log.info("trained in %.2f s", training.seconds)
    else:
        _log.info("model taken over from cell %s, which trained alike: see its log", memory.trained_by[key])
    trained = memory.trained[key]
    data = data_for(trained.model)
    roles: tuple[Role, ...] = ("val", "test", "calibration") if split.calibration else ("val", "test")
    scores = pd.concat([scored(trained.model, data, role, device) for role in roles], ignore_index=True)
    _log.info("scored %s", ", ".join(roles))
    seconds = time.monotonic() - clock
    files = {}
    if cell.identity.get("localise") and (maps := localise(trained.model, data, device)):
        files[LOCALISATION_FILE] = encode_localisation(maps)
    if data.views == "all" and (evidence := view_evidence(trained.model, data, device)) is not None:
        files[VIEW_EVIDENCE_FILE] = encode_view_evidence(evidence)
    kept = _keep_weights(trained.model, folder) if job.keep_weights == "best" else {"weights": "not asked for"}
    chosen = (trained.training or {}).get("chosen")
    measured = canonical_json([cell.identity["model"], chosen, data.size, data.n_views, str(device)])
    cost |= peak.read() | parameter_counts(trained.model) | inference_cost(trained.model, data, device, measured)
    record = Record.of(
        cell,
        unit="part" if data.views == "all" else "image",
        counts=counts,
        training=trained.training,
        refinement=trained.refinement,
        run={**around, "started": started.isoformat(), "seconds": seconds, **cost, **kept},
    )
    return record, scores, files


def _keep_weights(model: InspectionModule, folder: Path) -> dict[str, str]:
    """Save the trained tensors of a small model; what was done, for the record."""
    frozen = model.extractor()
    skipped = {id(t) for t in (*frozen.parameters(), *frozen.buffers())} if frozen is not None else set()
    state = {k: v.detach().cpu() for k, v in model.state_dict(keep_vars=True).items() if id(v) not in skipped}
    size = sum(v.numel() * v.element_size() for v in state.values())
    if size > KEPT_WEIGHTS_BYTES:
        return {"weights": f"not kept: {size / 2**20:.0f} MiB is above the limit of {KEPT_WEIGHTS_BYTES // 2**20}"}
    buffer = BytesIO()
    torch.save(state, buffer)
    return write_weights(folder, buffer.getvalue())
