"""Measurements of training, loading and workers: that both sides do the same work, and that a worker keeps nothing."""

from __future__ import annotations

import gc
import multiprocessing
import shutil
import time
import weakref
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from pebble import ProcessPool
from torch import Tensor, nn
from torch.utils.data import DataLoader

from reshift.benchmark.cell_data import loader_workers
from reshift.benchmark.preset import ModelSpec
from reshift.benchmark.speed import cell_overhead, data_wait, gpu_options, worker_memory
from reshift.benchmark.speed.classifier_training import BareLoop, classifier_and_data
from reshift.benchmark.speed.pictures import write_pictures
from reshift.benchmark.speed.planned_run import check_done, planned_run
from reshift.benchmark.speed.two_workers import WarmWorkers
from reshift.benchmark.speed.warm_images import PlainPictures, plain_crops, plain_flips
from reshift.benchmark.training import PhasedTraining
from reshift.benchmark.worker import start_worker
from reshift.datamodules.image_cache import cached_images
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.manifest import Manifest
from reshift.models.base import Batch, InspectionModule
from reshift.splits.in_distribution import InDistribution

SMALL = {"backbone": "test_efficientnet", "weights": "none"}
SIDE = 64


class Watched(InspectionModule):
    """Remembers its Trainer and optimisers without keeping them alive."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(2, 1)
        self.seen: list[weakref.ref[object]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.seen.append(weakref.ref(self.trainer))
        return self.net(batch["feature"]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimizer = torch.optim.Adam(self.parameters(), lr=0.1)
        self.seen.append(weakref.ref(optimizer))
        return optimizer


def test_a_phase_leaves_no_trainer_and_no_optimiser_behind() -> None:
    model = Watched()
    training = PhasedTraining(model, None, every=1, select_from=0, seed=0, device=torch.device("cpu"))
    rows = [{"feature": torch.ones(2), "index": torch.tensor(i)} for i in range(8)]
    loader: DataLoader[Batch] = DataLoader(rows, batch_size=4)  # type: ignore[arg-type]
    gc.disable()  # as if Python's own collection were not due for a long time
    try:
        training.run(loader, 2)
        training.run(loader, 2)
        assert [seen() for seen in model.seen] == [None] * 6
        forgotten = weakref.ref(model)
        del model, training
        assert forgotten() is None
    finally:
        gc.enable()


def test_the_bare_loop_learns_what_the_suite_learns(tmp_path: Path) -> None:
    data, model = classifier_and_data(tmp_path, SIDE, 3, SMALL["backbone"])
    bare, before = BareLoop(model, 3), deepcopy(model.backbone.state_dict())
    bare.train([(batch["image"], batch["label"]) for batch in data.train_loader(steps=3)])
    training = PhasedTraining(model, None, every=3, select_from=0, seed=0, device=torch.device("cpu"))
    training.run(data.train_loader(steps=3), 3)
    ours, theirs = model.backbone.state_dict(), bare.network[0].state_dict()
    weights = [name for name, value in ours.items() if value.is_floating_point()]
    moved = sum(float((ours[name] - before[name]).square().sum()) for name in weights)
    apart = sum(float((ours[name] - theirs[name]).square().sum()) for name in weights)
    # Adam makes whole steps of gradients that are rounding noise, so a few weights may part.
    assert moved > 0 and apart < 1e-3 * moved


def test_both_loaders_show_the_same_picture(tmp_path: Path) -> None:
    data = Manifest(write_pictures(tmp_path / "pictures", 3, 512)).read()
    ours = cached_images(data, 224).pixels / 255
    plain = PlainPictures(data, plain_flips(224))
    for row in range(3):
        picture, label = plain[row]
        assert label == row % 2 and picture.dtype == torch.float32 and picture.shape == (3, 224, 224)
        turned = picture.permute(1, 2, 0).numpy()
        # Area averaging and antialiased interpolation differ a little in the grain; a wrong colour order does not.
        assert min(np.abs(flip - ours[row]).mean() for flip in _flips(turned)) < 0.01
        assert np.abs(turned[..., ::-1] - ours[row]).mean() > 0.05
    crop, _ = PlainPictures(data, plain_crops(224, 0.5))[0]
    assert crop.shape == (3, 224, 224) and 0 <= float(crop.min()) < float(crop.max()) <= 1


def test_overhead_is_a_cell_less_its_networks_work(tmp_path: Path) -> None:
    found = cell_overhead.measure(tmp_path, seeds=4, rounds=2)
    assert found.detail["planned_cells"] == 4
    assert 0 < found.value < found.detail["cell_s"]
    assert 0 < found.detail["network_s"] < found.detail["cell_s"]


def test_memory_is_compared_with_the_tenth_cell(tmp_path: Path) -> None:
    found = worker_memory.measure(tmp_path, backbone=SMALL["backbone"], cells=12)
    assert found.detail["most_MiB"] >= found.detail["last_ten_MiB"] > 100
    assert found.value == pytest.approx(100 * (found.detail["last_ten_MiB"] / found.detail["tenth_MiB"] - 1))


def test_warm_workers_outlive_a_run_of_cells(tmp_path: Path) -> None:
    job, cells = planned_run(
        tmp_path / "run", [ModelSpec("classifier", SMALL)], seeds=4, folds=1, size=SIDE, steps=1, batch_size=8
    )
    workers = WarmWorkers(job, 1)
    try:
        workers.compute(cells[:2])
        assert not workers.busy()
        workers.compute(cells[2:3])
    finally:
        workers.stop()
    check_done(job, cells[:3])
    with pytest.raises(RuntimeError, match=f"{cells[3].id} of classifier: left neither record nor failure"):
        check_done(job, cells)


def _flips(picture: np.ndarray) -> list[np.ndarray]:
    return [turned[:, ::step] for turned in (picture, picture[::-1]) for step in (1, -1)]


def test_what_a_training_waits_for_its_batches_is_part_of_its_time(tmp_path: Path) -> None:
    found = data_wait.measure(tmp_path, side=32, steps=3, backbone=SMALL["backbone"])
    detail = found.detail
    waited = detail["first_wait_s"] + 2 * detail["later_wait_s"]
    assert found.value == pytest.approx(100 * waited / (3 * detail["step_s"]))
    assert 0 < found.value < 100


def test_a_slow_loader_is_seen_in_the_wait() -> None:
    watched = data_wait.Watched(cast(DataLoader[Batch], Slow()))
    for _ in watched:
        time.sleep(0.01)  # a step: not part of the wait
    assert len(watched) == len(watched.waits) == 3
    assert all(0.02 <= wait < 0.03 for wait in watched.waits)


class Slow:
    """Takes 20 ms for each of three batches."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(3):
            time.sleep(0.02)
            yield {}


@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile wants a C++ compiler on a processor")
@pytest.mark.heavy  # compiles twice
@pytest.mark.timeout(1800)
def test_what_is_measured_on_a_gpu_runs_on_any_device(tmp_path: Path) -> None:
    found = gpu_options.measure(tmp_path, 32, 2, 1, SMALL["backbone"], "cpu")
    detail = found.detail
    assert found.value == pytest.approx(detail["fp32_step_s"] / detail["bf16_step_s"])
    assert detail["compiling_s"] > 1 and "torch.compile" in found.note


def test_a_pool_worker_may_load_by_processes_of_its_own(parts_manifest: Path) -> None:
    with ProcessPool(1, context=multiprocessing.get_context("spawn"), initializer=start_worker) as pool:
        daemon, same = pool.schedule(load_by_two, args=[parts_manifest]).result()
    assert not daemon and same


def load_by_two(manifest: Path) -> tuple[bool, bool]:
    """Whether this process is a daemon, and whether two processes prepare the batches that it would."""
    table = Manifest(manifest).read()
    split = next(InDistribution(val=0.3).splits(table.table, seed=0))

    def batches(workers: int) -> list[Tensor]:
        data = InspectionData(table, split, size=SIDE, batch_size=4, workers=workers)
        loader = data.train_loader(steps=8)
        assert loader.num_workers == workers
        return [batch["image"] for batch in loader]

    same = all(torch.equal(a, b) for a, b in zip(batches(0), batches(2), strict=True))
    return multiprocessing.current_process().daemon, same


@pytest.mark.parametrize(("kind", "least", "most"), [("cpu", 0, 0), ("cuda", 1, 4)])
def test_loaders_get_processes_of_their_own_beside_a_gpu_alone(kind: str, least: int, most: int) -> None:
    assert least <= loader_workers(torch.device(kind)) <= most
