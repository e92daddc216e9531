"""Cells of a run to Weights & Biases: one run each, with its configuration and its curve."""

from __future__ import annotations

from pathlib import Path

from reshift.results.publish import receipts, write_receipts
from reshift.results.record import Record
from reshift.results.store import RunStore, Status
from reshift.results.wandb_run import Mode, close_run, open_run


def publish_cells(run_dir: Path, project: str, mode: Mode = "online", entity: str | None = None) -> str:
    """Send every finished cell once: identity as configuration, validation losses by step, seconds as summary.

    A cell's wandb run has the cell's id and stands in the group of the run folder, beside the boards. Each has a
    receipt in `published.json`, so that a broken-off call goes on where it stopped.

    Raises:
        PublishError: see `wandb_run.open_run`; cells sent before stay sent.
        RecordError: a damaged record.
    """
    store = RunStore(run_dir)
    found = receipts(run_dir)
    sent = 0
    for cell in store.read_plan().cells:
        wanted = {"cell": cell.id, "project": project, "entity": entity or "", "mode": mode}
        if store.status(cell.id) is not Status.DONE or any(wanted.items() <= receipt.items() for receipt in found):
            continue
        record, _ = store.read(cell.id)
        found.append({**wanted, "place": _send(run_dir, record, project, mode, entity)})
        write_receipts(run_dir, found)
        sent += 1
    return f"{sent} cells published in group {run_dir.resolve().name}"


def _send(run_dir: Path, record: Record, project: str, mode: Mode, entity: str | None) -> str:
    title = f"{record.model} {record.protocol}/{record.split} seed {record.seed}"
    run = open_run(run_dir, project, mode, entity, id=record.cell, name=title, job_type="cell", config=record.identity)
    for step, loss in (record.training or {}).get("validation_losses", []):
        run.log({"validation_loss": loss}, step=step)
    run.summary.update({"seconds": record.run.get("seconds"), "device": record.run.get("device")})
    return close_run(run, mode)
