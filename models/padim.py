"""PaDiM: a Gaussian of the good samples at every patch position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import albumentations as A
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from reshift.models.base import Batch, InspectionModule
from reshift.models.patch_features import PatchFeatures, upsampled


class PaDiM(InspectionModule):
    """PaDiM: a Gaussian per image position on frozen patch features (Defard et al. 2021).

    "PaDiM: a Patch Distribution Modeling Framework", ICPR workshops 2021. The score of an image is the maximum of its
    map of Mahalanobis distances, brought to the image's size and smoothed (sigma 4 pixels) before the maximum is taken.
    Known bad rows (negative weight) are left out; other weights count as 1. Learned tensors take 4 * G^2 * C^2 bytes,
    10 MB at the defaults, fitting about seven times that.

    Args:
        backbone, weights, stages, timm_options, grid, channels, neighbourhood: see `PatchFeatures`. The defaults keep
            the paper's 100 channels of ResNet-18's first three stages and no averaging, 102,400 bytes an image.
        shrinkage: added to the diagonal of every covariance, the paper's epsilon.
    """

    name: ClassVar[str] = "padim"
    learns_from: Literal["labels", "good"] = "good"

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str = "hub",
        stages: Sequence[int] = (1, 2, 3),
        timm_options: dict[str, Any] | None = None,
        grid: int = 16,
        channels: int | None = 100,
        neighbourhood: int = 1,
        shrinkage: float = 0.01,
    ) -> None:
        super().__init__()
        if shrinkage <= 0:
            raise ValueError(f"shrinkage {shrinkage}: a covariance of few samples needs more than 0 on its diagonal")
        self.backbone = PatchFeatures(backbone, weights, stages, timm_options, grid, channels, neighbourhood)
        self.backbone.freeze()
        self.shrinkage = shrinkage
        positions, width = grid**2, self.backbone.channels
        self.centre: Tensor
        self.whitening: Tensor
        self.register_buffer("centre", torch.zeros(positions, width))
        self.register_buffer("whitening", torch.eye(width).repeat(positions, 1, 1))

    def extractor(self) -> nn.Module:
        return self.backbone

    def augmentation(self, size: int) -> A.Compose | None:
        return None

    def fit(self, loader: DataLoader[Batch]) -> None:
        """Mean and covariance of every position in one pass.

        Raises:
            ValueError: every row is known bad.
        """
        rows = 0
        total = torch.zeros_like(self.centre, dtype=torch.float64)
        products = torch.zeros_like(self.whitening, dtype=torch.float64)
        for batch in loader:
            good = batch["feature"][batch["weight"] > 0].to(total.device)
            patches = self.backbone.patches(good).double().transpose(0, 1)
            rows += len(good)
            total += patches.sum(dim=1)
            products.baddbmm_(patches.mT, patches)
        if not rows:
            raise ValueError("every training row is known bad (negative weight): nothing is left to fit Gaussians to")
        mean = total / rows
        covariance = products.baddbmm_(mean[:, :, None], mean[:, None, :], alpha=-rows).div_(max(1, rows - 1))
        covariance.diagonal(dim1=1, dim2=2).add_(self.shrinkage)
        factor = torch.linalg.cholesky(covariance)
        identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
        self.centre.copy_(mean)
        # A factor of the precision: a sum of squares cannot turn negative in float32.
        self.whitening.copy_(torch.linalg.solve_triangular(factor, identity, upper=False))

    def distances(self, feature: Tensor) -> Tensor:
        """Mahalanobis distance of every patch, (B, G, G)."""
        offset = (self.backbone.patches(feature) - self.centre).permute(1, 2, 0)
        squares = torch.bmm(self.whitening, offset).square().sum(dim=1)
        return squares.sqrt().T.reshape(-1, self.backbone.grid, self.backbone.grid)

    def score(self, batch: Batch) -> Tensor:
        smoothed = upsampled(self.distances(batch["feature"]), (self.info.size, self.info.size))
        return smoothed.amax(dim=(1, 2))

    def anomaly_map(self, batch: Batch) -> Tensor:
        """The smoothed map the score is the maximum of."""
        return upsampled(self.distances(self.backbone(batch["image"])), batch["image"].shape[-2:])
