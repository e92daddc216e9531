"""Measurements of training, loading and workers: that both sides do the same work, and that a worker keeps nothing."""

from __future__ import annotations

import gc
import weakref
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from reshift.benchmark.preset import ModelSpec
from reshift.benchmark.speed import cell_overhead, worker_memory
from reshift.benchmark.speed.classifier_training import BareLoop, classifier_and_data
from reshift.benchmark.speed.pictures import write_pictures
from reshift.benchmark.speed.planned_run import check_done, planned_run
from reshift.benchmark.speed.two_workers import WarmWorkers
from reshift.benchmark.speed.warm_images import PlainPictures, plain_crops, plain_flips
from reshift.benchmark.speed.worker_memory import resident_mib
from reshift.benchmark.training import PhasedTraining
from reshift.datamodules.image_cache import cached_images
from reshift.datamodules.manifest import Manifest
from reshift.models.base import Batch, InspectionModule

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


def test_resident_memory_grows_by_what_is_held() -> None:
    before = resident_mib()
    held = np.ones(64 * 2**20, dtype=np.uint8)
    assert resident_mib() - before == pytest.approx(64, abs=8)
    del held
    assert resident_mib() - before == pytest.approx(0, abs=8)


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
