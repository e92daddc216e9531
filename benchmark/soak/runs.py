"""The two runs of a soak: many sound cells, and some in trouble before sound ones."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from reshift.benchmark.executor import bundles, run_cells
from reshift.benchmark.executors.local import LocalWorkers
from reshift.benchmark.failure_kind import GPU_LOST, OUT_OF_MEMORY
from reshift.benchmark.preset import ModelSpec
from reshift.benchmark.soak.usage import Growth, Sampled
from reshift.benchmark.speed.planned_run import planned_run
from reshift.benchmark.time_limit import TimeLimitError
from reshift.results.store import RunStore, Status

SIDE, STEPS, BATCH, FOLDS = 16, 1, 8, 2
CELL_SECONDS = 20.0
NETWORK = {"backbone": "test_efficientnet", "weights": "none"}
SOUND = [
    ModelSpec("size_brightness"),
    ModelSpec("gaussian", {**NETWORK, "stages": [2], "scales": [1.0]}),
    ModelSpec("classifier", NETWORK),
]
"""A closed form on images, one on features, one trained by a Trainer."""

TROUBLES = {
    "Hanging": TimeLimitError.__name__,
    "TooLargeForPython": OUT_OF_MEMORY,
    "TooLargeForTorch": OUT_OF_MEMORY,
    "GpuGone": GPU_LOST,
}
"""Models of `troubled`, and as what their failure must be named."""


def long_run(scratch: Path, cells: int, workers: int) -> tuple[list[Growth], list[str]]:
    """Compute at least so many cells in one process tree.

    Returns:
        How memory and handles of each of its processes grew, and one line for everything that went wrong.
    """
    seeds = -(-cells // (len(SOUND) * FOLDS))
    job, planned = planned_run(
        scratch / "long", SOUND, seeds=seeds, folds=FOLDS, size=SIDE, steps=STEPS, batch_size=BATCH
    )
    progress = Sampled(planned, 0, workers, io.StringIO())
    run_cells(job, bundles(planned), progress, LocalWorkers(job, workers))
    store, found = RunStore(job.run), progress.growths()
    wrong = [f"cell {cell.id} of {cell.model} has no record" for cell in planned if not _done(store, cell.id)]
    wrong += [
        f"{grown.what} grew from {grown.second:.1f} to {grown.last:.1f}, by more than 5 %"
        for grown in found
        if not grown.flat
    ]
    return found, wrong if found else [*wrong, "no process lived long enough to be judged; compute more cells"]


def troubled_run(
    scratch: Path, workers: int, troubles: dict[str, str] = TROUBLES, cell_seconds: float = CELL_SECONDS
) -> tuple[list[str], list[str]]:
    """Compute cells that hang, run out of memory or lose their GPU, and sound ones.

    Returns:
        What is said of each trouble, and one line for everything that went wrong.
    """
    # The sound ones come last: they are computed by workers that have been through all of it.
    models = [*(ModelSpec(f"reshift.benchmark.soak.troubled:{name}", name=name) for name in troubles), *SOUND[:2]]
    job, planned = planned_run(scratch / "troubled", models, seeds=1, folds=1, size=SIDE, steps=STEPS, batch_size=BATCH)
    job = replace(job, cell_seconds=cell_seconds)
    progress = Sampled(planned, 0, workers, io.StringIO())
    run_cells(job, bundles(planned), progress, LocalWorkers(job, workers))
    store, said, wrong = RunStore(job.run), {}, []
    for cell in planned:
        failure, wanted = store.failure(cell.id), troubles.get(cell.model)
        if wanted is None:
            wrong += [] if _done(store, cell.id) else [f"a sound cell has no record: {failure}"]
        elif failure is None or failure.kind != wanted:
            wrong.append(f"{cell.model} must fail as {wanted}, but left {failure}")
        else:
            said[cell.model] = f"{cell.model}: {failure.kind}: {failure.message}"
    return list(said.values()), wrong


def _done(store: RunStore, cell: str) -> bool:
    return store.status(cell) is Status.DONE
