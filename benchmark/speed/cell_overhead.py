"""What a cell costs besides its network's work, in a worker that has computed others."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from torch.optim import Adam

from reshift.benchmark.cell_data import cell_data
from reshift.benchmark.preset import ModelSpec
from reshift.benchmark.speed.measurement import Measurement, side_by_side
from reshift.benchmark.speed.planned_run import check_done, planned_run
from reshift.benchmark.worker import Job, run_bundle
from reshift.benchmark.world import World
from reshift.models.base import TrainingInfo
from reshift.models.classifier import Classifier
from reshift.results.plan import PlannedCell

BACKBONE, SIDE, BATCH, SEEDS, ROUNDS = "test_efficientnet", 64, 16, 1000, 21


def measure(scratch: Path, seeds: int = SEEDS, rounds: int = ROUNDS) -> Measurement:
    """Seconds of a whole bundle of one cell that makes one step, less those of its step, validation and scores.

    What is left: reading a plan of `seeds` cells, building model and data module, the Trainer, the record's figures of
    cost, record and scores on disk.
    """
    network = {"backbone": BACKBONE, "weights": "none"}
    job, cells = planned_run(
        scratch / "run", [ModelSpec("classifier", network)], seeds=seeds, folds=1, size=SIDE, steps=1, batch_size=BATCH
    )
    waiting = iter(cells)
    times = side_by_side(lambda: run_bundle(job, [next(waiting).id]), network_work(job, cells[0]), rounds)
    check_done(job, cells[: rounds + 1])
    overhead = statistics.median(ours - theirs for ours, theirs in zip(times.ours, times.theirs, strict=True))
    return Measurement(
        what="fixed cost of a cell in a warm worker",
        against="",
        value=overhead,
        unit="s",
        bound="at most",
        target=0.5,
        detail={
            "cell_s": times.detail["ours_s"],
            "network_s": times.detail["theirs_s"],
            "planned_cells": len(cells),
            "rounds": rounds,
        },
        note="a small classifier on 80 pictures; the time of its one step, its validation and its scores is taken off",
    )


def network_work(job: Job, cell: PlannedCell) -> Callable[[], None]:
    """The step, the look at validation and the scores of `cell`, over batches that are ready."""
    place = World(job.preset).place(cell.dataset)
    model = Classifier(BACKBONE, weights="none")
    split = place.split(cell.protocol, cell.split)
    data = cell_data(model, place.dataset, split, SIDE, BATCH, cell.seed, torch.device("cpu"))
    model.prepare(TrainingInfo(1, data.class_counts, data.n_groups, data.n_views, data.size))
    step, validation = next(iter(data.train_loader())), list(data.val_loader())
    scoring = [batch for role in ("val", "test") for batch in data.score_loader(role)]
    optimizer = Adam(model.parameters(), lr=model.lr)

    def work() -> None:
        model.train()
        optimizer.zero_grad()
        model.training_step(step, 0).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        model.eval()
        with torch.no_grad():
            for batch in validation:
                model.validation_loss(batch)
            for batch in scoring:
                model.predict_step(batch)

    return work
