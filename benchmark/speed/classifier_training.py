"""What the suite adds to training a classifier: data module and Trainer against a bare loop over tensors in memory."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR

from reshift.benchmark.cell_data import cell_data
from reshift.benchmark.speed.measurement import Measurement, side_by_side
from reshift.benchmark.speed.pictures import write_pictures
from reshift.benchmark.training import PhasedTraining
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.manifest import Manifest
from reshift.models.base import TrainingInfo
from reshift.models.classifier import Classifier
from reshift.splits.in_distribution import InDistribution

BACKBONE, SIDE, BATCH, STEPS, ROUNDS = "resnet18", 128, 32, 12, 7


def measure(scratch: Path, side: int = SIDE, steps: int = STEPS, rounds: int = ROUNDS) -> Measurement:
    """A round is one whole training of `steps`: our loader, augmentation and Trainer, their list of batches."""
    data, model = classifier_and_data(scratch, side, steps * (rounds + 1))
    training = PhasedTraining(model, None, every=steps, select_from=0, seed=0, device=torch.device("cpu"))
    bare = BareLoop(model, steps * (rounds + 1))
    batches = [(batch["image"], batch["label"]) for batch in data.train_loader(steps=steps)]

    def ours() -> None:
        training.run(data.train_loader(None, training.progress.done, steps), steps)

    times = side_by_side(ours, lambda: bare.train(batches), rounds)
    return Measurement(
        what="ResNet-18 classifier training through the suite",
        against="a bare PyTorch loop over the same batches, augmented beforehand and held in memory",
        value=1 / times.speedup,
        unit="x its time",
        bound="at most",
        target=1.05,
        detail={**times.detail, "steps": steps, "batch": BATCH, "side_px": side},
        note="validation looked at in neither; ours draws and augments its batches within the time, from a warm cache",
    )


def classifier_and_data(
    scratch: Path, side: int, steps: int, backbone: str = BACKBONE, device: torch.device | None = None
) -> tuple[InspectionData, Classifier]:
    """A classifier from a random start, ready for `steps`, and its batches of 50 pictures."""
    pictures = Manifest(write_pictures(scratch / "pictures", 80, side)).read()
    split = next(InDistribution().splits(pictures.table, seed=0))
    torch.manual_seed(0)
    model = Classifier(backbone, weights="none")
    data = cell_data(model, pictures, split, side, BATCH, 0, device or torch.device("cpu"))
    model.prepare(TrainingInfo(steps, data.class_counts, data.n_groups, data.n_views, data.size))
    return data, model


class BareLoop:
    """What a person writes who wants nothing but the trained network: same network, optimiser, schedule and loss."""

    def __init__(self, model: Classifier, steps: int) -> None:
        self.network = nn.Sequential(copy.deepcopy(model.backbone), copy.deepcopy(model.head)).train()
        self.optimizer = Adam(self.network.parameters(), lr=model.lr)
        self.schedule = CosineAnnealingLR(self.optimizer, T_max=steps)

    def train(self, batches: list[tuple[Tensor, Tensor]]) -> None:
        """One pass over `batches` of images and labels."""
        for images, labels in batches:
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.network(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.schedule.step()
