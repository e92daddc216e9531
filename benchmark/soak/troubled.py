"""Models that get into the trouble that long runs meet."""

from __future__ import annotations

import time

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from reshift.models.base import Batch, InspectionModule

FAR_TOO_MUCH = 2**50  # bytes


class _Troubled(InspectionModule):
    def score(self, batch: Batch) -> Tensor:
        return batch["image"].mean((1, 2, 3))


class Hanging(_Troubled):
    """Never comes back from its fit."""

    def fit(self, loader: DataLoader[Batch]) -> None:
        while True:
            time.sleep(1)


class TooLargeForPython(_Troubled):
    """Asks Python for more memory than there is."""

    def fit(self, loader: DataLoader[Batch]) -> None:
        bytearray(FAR_TOO_MUCH)


class TooLargeForTorch(_Troubled):
    """Asks torch for more memory than there is."""

    def fit(self, loader: DataLoader[Batch]) -> None:
        torch.empty(FAR_TOO_MUCH, dtype=torch.uint8)


class GpuGone(_Troubled):
    """Fails as torch does when a GPU falls off the bus."""

    def fit(self, loader: DataLoader[Batch]) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")
