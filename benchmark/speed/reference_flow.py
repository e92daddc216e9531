"""DifferNet in a plain loop, as its authors train it: the network inside the step, gradients through it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Adam

from reshift.benchmark.cell_data import purpose_seed
from reshift.datamodules.dataset import Dataset
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.rows import Role
from reshift.models.differnet import DifferNet
from reshift.splits.protocol import Split


class ReferenceFlow:
    """One run of DifferNet (Rudolph et al. 2021), step and score as in the authors' published code.

    Every step passes the images through the network with gradients on, although the optimiser holds the flow alone,
    and asks the flow for its log-determinant by a second evaluation of every s-t network. Scoring passes every
    transform of every image through the network again.

    It is spared what would only slow it down: images are decoded once and stay in memory at the model's size, copies
    are drawn by the suite's own augmentation, and batch normalisation keeps its stored statistics.

    Args:
        model: whose sizes, start and optimiser it takes; a copy is trained.
        dataset, split, size, batch_size: as the suite's own training has them; the order is that of its seed 0.
    """

    def __init__(self, model: DifferNet, dataset: Dataset, split: Split, size: int, batch_size: int) -> None:
        self.model = copy.deepcopy(model)
        self.model.backbone.requires_grad_(True).eval()
        self.optimizer = cast(Adam, self.model.configure_optimizers())
        self.done = 0
        self.data = InspectionData(
            dataset,
            split,
            size=size,
            learns_from=model.learns_from,
            train_copies=model.train_copies,
            score_copies=model.score_copies,
            augmentation=model.augmentation(size),
            score_augmentation=model.score_augmentation(size),
            batch_size=batch_size,
            seed_order=purpose_seed(0, "order"),
        )

    def train(self, steps: int) -> None:
        """Go on for `steps` batches of images."""
        for batch in self.data.train_loader(None, self.done, steps):
            self.step(batch["image"])
        self.done += steps

    def step(self, images: Tensor) -> float:
        """One step on images (B, 3, H, W) in [0, 1], every copy a row; the loss in nats per feature."""
        self.optimizer.zero_grad()
        features = self.model.backbone(images)
        latent, _ = self.model.flow(features)
        _, log_det = self.model.flow(features)
        loss = (0.5 * latent.square().sum(dim=1) - log_det).mean() / latent.shape[1]
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def score(self, role: Role, samples: Sequence[str] | None = None) -> NDArray[np.floating]:
        """Mean of z^2 over features and transforms, (n,), of a role's rows or of those named."""
        with torch.no_grad():
            return np.concatenate([self._score(b["image"]) for b in self.data.score_loader(role, samples)])

    def _score(self, images: Tensor) -> NDArray[np.floating]:
        latent, _ = self.model.flow(self.model.backbone(images))
        square = latent.square().mean(dim=1).view(-1, self.data.score_copies).mean(dim=1)
        return np.asarray(square.numpy())
