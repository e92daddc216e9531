"""A model of one's own: how far a picture lies from the mean of the good ones."""

import torch
from torch.nn.functional import adaptive_avg_pool2d

from reshift.models.base import Batch, InspectionModule


class GoodMean(InspectionModule):
    """Largest deviation from the mean good picture, in standard deviations, on a coarse grid of pixels."""

    name = "good_mean"
    learns_from = "good"

    def __init__(self, grid: int = 8) -> None:
        super().__init__()
        self.grid = grid
        # What is learnt is kept in buffers, so that it is saved and loaded with the model.
        self.register_buffer("mean", torch.zeros(3, grid, grid))
        self.register_buffer("spread", torch.ones(3, grid, grid))

    def augmentation(self, size):
        return None

    def fit(self, loader):
        coarse = torch.cat([self._coarse(batch) for batch in loader])
        self.mean.copy_(coarse.mean(dim=0))
        self.spread.copy_(coarse.std(dim=0) + 0.01)

    def score(self, batch: Batch):
        """(B,), higher = more defective."""
        return ((self._coarse(batch) - self.mean) / self.spread).abs().amax(dim=(1, 2, 3))

    def _coarse(self, batch: Batch):
        return adaptive_avg_pool2d(batch["image"], self.grid)
