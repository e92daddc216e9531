"""What a second local worker is worth on two cores."""

from __future__ import annotations

import io
from pathlib import Path

from reshift.benchmark.executor import bundles, run_cells
from reshift.benchmark.executors.local import LocalWorkers
from reshift.benchmark.preset import ModelSpec
from reshift.benchmark.progress import RunProgress
from reshift.benchmark.speed.measurement import Measurement, side_by_side
from reshift.benchmark.speed.planned_run import check_done, planned_run
from reshift.results.plan import PlannedCell

BACKBONE, SIDE, STEPS, BATCH, CELLS, ROUNDS = "resnet18", 64, 24, 16, 4, 5


def measure(
    scratch: Path,
    backbone: str = BACKBONE,
    steps: int = STEPS,
    cells: int = CELLS,
    rounds: int = ROUNDS,
    workers: int = 2,
    device: str = "cpu",
) -> Measurement:
    """A round is a `run_cells` over `cells` new cells, from the first being given out to the last record read.

    The workers are warm, as in a run of many cells: an untimed round starts the processes and fills their caches.
    """
    model = ModelSpec("classifier", {"backbone": backbone, "weights": "none"})
    job, planned = planned_run(
        scratch / "run",
        [model],
        seeds=2 * cells * (rounds + 1),
        folds=1,
        size=SIDE,
        steps=steps,
        batch_size=BATCH,
        device=device,
    )
    several, one = WarmWorkers(job, workers), WarmWorkers(job, 1)
    try:
        times = side_by_side(
            lambda: several.compute([planned.pop() for _ in range(cells)]),
            lambda: one.compute([planned.pop() for _ in range(cells)]),
            rounds,
        )
    finally:
        several.stop()
        one.stop()
    return Measurement(
        what="two local workers on ResNet-18 cells",
        against="one worker",
        value=times.speedup,
        unit="x",
        bound="at least",
        target=1.8,
        detail={**times.detail, "cells": cells, "steps": steps, "batch": BATCH, "side_px": SIDE},
        note="training, scoring and records of whole cells; the start of the processes is not in it",
    )


class WarmWorkers(LocalWorkers):
    """Local workers that outlive a `run_cells`, as they outlive a bundle within one; whoever made them stops them."""

    def compute(self, cells: list[PlannedCell]) -> None:
        """Run these cells to their records."""
        run_cells(self._job, bundles(cells), RunProgress(cells, 0, self.slots, out=io.StringIO()), self)
        check_done(self._job, cells)

    def close(self) -> None:
        """Nothing yet."""

    def stop(self) -> None:
        """End the processes."""
        super().close()
