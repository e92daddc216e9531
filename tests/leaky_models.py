"""Models that look where they have no right to, planted for the canary to catch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from reshift.datamodules.inspection_data import InspectionData
from reshift.models.base import Batch, InspectionModule


def behind(loader: Any) -> InspectionData:
    """The data module that built a loader, whole table and test pictures included."""
    build = loader.dataset.build
    data: InspectionData = dict(zip(build.__code__.co_freevars, build.__closure__, strict=True))["self"].cell_contents
    return data


def peek(data: InspectionData, at: str) -> float:
    """A number that a model has no right to."""
    table, tested = data.dataset.table, data.split.test
    if at == "all pictures":
        return float(data.images.pixels.mean())
    if at == "test files":
        return sum(len((data.dataset.root / sample).read_bytes()) for sample in tested)
    if at == "test labels":
        return float(sum(place * label for place, label in enumerate(data.rows("test")["label"])))
    if at == "names":
        return int(table["component"].nunique())
    if at == "validation":
        return sum(float(batch["image"].mean()) for batch in data.val_loader())
    return 0.0


class ClosedForm(InspectionModule):
    """Learns one number, from wherever it looks."""

    centre: Tensor

    def __init__(self, at: str = "nowhere") -> None:
        super().__init__()
        self.at = at
        self.register_buffer("centre", torch.zeros(()))

    def fit(self, loader: DataLoader[Batch]) -> None:
        self.centre.fill_(peek(behind(loader), self.at))

    def score(self, batch: Batch) -> Tensor:
        return batch["image"].mean((1, 2, 3)) - self.centre


class Trained(InspectionModule):
    """Its weights are honest; when to stop is not."""

    def __init__(self, at: str = "nowhere") -> None:
        super().__init__()
        self.at, self.known = at, 0.0
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.known = float(peek(behind(self.trainer.train_dataloader), self.at))
        return self.weight * batch["image"].mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)

    def validation_loss(self, batch: Batch) -> Tensor:
        return self.weight * batch["image"].mean() + self.known

    def score(self, batch: Batch) -> Tensor:
        return self.weight * batch["image"].mean((1, 2, 3))
