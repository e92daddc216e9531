"""Whether a worker grows over the cells of a long run."""

from __future__ import annotations

import statistics
from pathlib import Path

from reshift.benchmark.preset import ModelSpec
from reshift.benchmark.soak.usage import resident_mib
from reshift.benchmark.speed.measurement import Measurement
from reshift.benchmark.speed.planned_run import check_done, planned_run
from reshift.benchmark.worker import run_bundle

CELLS, SETTLED = 200, 10
BACKBONE, SIDE, STEPS, BATCH = "resnet18", 64, 2, 8


def measure(scratch: Path, backbone: str = BACKBONE, cells: int = CELLS) -> Measurement:
    """Memory that is resident after the last ten cells, their median, against that after the 10th cell.

    Half the cells train a ResNet-18, whose 11 million weights would show if a model stayed behind; the others fit and
    score on its frozen features.
    """
    network = {"backbone": backbone, "weights": "none"}
    models = [ModelSpec("classifier", network), ModelSpec("gaussian", {**network, "stages": [2], "scales": [1.0]})]
    job, planned = planned_run(
        scratch / "run", models, seeds=-(-cells // 2), folds=1, size=SIDE, steps=STEPS, batch_size=BATCH
    )
    resident: list[float] = []
    for cell in planned[:cells]:
        run_bundle(job, [cell.id])
        resident.append(resident_mib())
    check_done(job, planned[:cells])
    settled, last = resident[SETTLED - 1], statistics.median(resident[-SETTLED:])
    return Measurement(
        what=f"resident memory over {cells} cells in one worker",
        against=f"the {SETTLED}th cell",
        value=100 * (last / settled - 1),
        unit="%",
        bound="at most",
        target=5,
        detail={"tenth_MiB": settled, "last_ten_MiB": last, "most_MiB": max(resident[SETTLED:]), "cells": cells},
        note="most_MiB is the peak after any single cell: the C library hands freed memory back with a delay",
    )
