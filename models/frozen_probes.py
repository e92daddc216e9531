"""Closed-form models on frozen pooled features: a logistic probe, and a Gaussian of the good samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import albumentations as A
import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn
from torch.utils.data import DataLoader

from reshift.models.backbone import Backbone
from reshift.models.base import Batch, InspectionModule
from reshift.models.logistic import StandardisedLogistic
from reshift.models.search_space import LogUniform, Range


class LogisticProbe(InspectionModule):
    """Logistic regression on the standardised features of a frozen network.

    Args:
        backbone, weights, stages, scales, timm_options: see `Backbone`.
        inverse_penalty: scikit-learn's `C`.
    """

    name: ClassVar[str] = "logistic_probe"
    space: ClassVar[Mapping[str, Range]] = {"inverse_penalty": LogUniform(1e-4, 1e2)}

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str = "hub",
        stages: Sequence[int] | None = (3,),
        scales: Sequence[float] = (1.0, 0.5, 0.25),
        timm_options: dict[str, Any] | None = None,
        inverse_penalty: float = 1.0,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, weights, stages, scales, timm_options).freeze()
        self.logistic = StandardisedLogistic(self.backbone.width, inverse_penalty)

    def extractor(self) -> nn.Module:
        return self.backbone

    def augmentation(self, size: int) -> A.Compose | None:
        return None

    def fit(self, loader: DataLoader[Batch]) -> None:
        self.logistic.fit((batch["feature"], batch["label"], batch["weight"]) for batch in loader)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        return self.logistic.score(batch["feature"])


class Gaussian(InspectionModule):
    """Mahalanobis distance to the good pictures in the features of a frozen network (Rippel et al. 2020).

    After Rippel, Mertens and Merhof (ICPR 2020), with pooled features. The covariance is shrunk after Ledoit and Wolf
    (2004), so fewer samples than features will do. Known bad rows (negative weight) are left out; other weights count
    as 1.

    Args:
        backbone, weights, stages, scales, timm_options: see `Backbone`.
    """

    name: ClassVar[str] = "gaussian"
    learns_from: Literal["labels", "good"] = "good"

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str = "hub",
        stages: Sequence[int] | None = (3,),
        scales: Sequence[float] = (1.0, 0.5, 0.25),
        timm_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, weights, stages, scales, timm_options).freeze()
        self.centre: Tensor
        self.whitening: Tensor
        self.register_buffer("centre", torch.zeros(self.backbone.width))
        self.register_buffer("whitening", torch.eye(self.backbone.width))

    def extractor(self) -> nn.Module:
        return self.backbone

    def augmentation(self, size: int) -> A.Compose | None:
        return None

    def fit(self, loader: DataLoader[Batch]) -> None:
        rows = torch.cat([batch["feature"][batch["weight"] > 0].cpu() for batch in loader]).double().numpy()
        estimate = LedoitWolf().fit(rows)
        self.centre.copy_(torch.from_numpy(estimate.location_))
        # A factor of the precision: a sum of squares cannot turn negative in float32.
        self.whitening.copy_(torch.from_numpy(np.linalg.cholesky(estimate.precision_)))

    def score(self, batch: Batch) -> Tensor:
        return ((batch["feature"].float() - self.centre) @ self.whitening).square().sum(dim=1).sqrt()
