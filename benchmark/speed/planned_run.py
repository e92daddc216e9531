"""A small run for measurements: few pictures, one protocol, planned as `reshift run` plans it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reshift.benchmark.planning import make_plan
from reshift.benchmark.preset import DatasetSpec, ModelSpec, Preset, ProtocolSpec
from reshift.benchmark.speed.pictures import write_pictures
from reshift.benchmark.worker import Job
from reshift.results.plan import PlannedCell
from reshift.results.store import RunStore, Status

PICTURES = 80


def planned_run(
    folder: Path,
    models: list[ModelSpec],
    *,
    seeds: int,
    folds: int,
    size: int,
    steps: int,
    batch_size: int,
    device: str = "cpu",
) -> tuple[Job, list[PlannedCell]]:
    """Plan `models` on `folds` folds of 80 pictures of side `size` into `folder`; its cells come seed by seed."""
    csv = write_pictures(folder.with_name(f"{folder.name}-pictures"), PICTURES, size)
    preset = Preset(
        description="a measurement of speed",
        datasets=[DatasetSpec("manifest", {"csv": str(csv)})],
        protocols=[ProtocolSpec("in_distribution", {"folds_used": folds, "val": 0.5})],
        models=models,
        size=size,
        seeds=list(range(seeds)),
        steps=steps,
        batch_size=batch_size,
        checks=1,
    )
    plan = make_plan(preset, folder.name)
    RunStore(folder).write_plan(plan)
    return Job(folder, preset, device, "none"), list(plan.cells)


def check_done(job: Job, cells: Sequence[PlannedCell]) -> None:
    """Nothing, provided that every cell left its record.

    Raises:
        RuntimeError: one did not; a figure would then speak of work that was not done.
    """
    store = RunStore(job.run)
    for cell in cells:
        if store.status(cell.id) is not Status.DONE:
            failure = store.failure(cell.id)
            reason = failure.message if failure else "left neither record nor failure"
            raise RuntimeError(f"{job.run}, cell {cell.id} of {cell.model}: {reason}")
