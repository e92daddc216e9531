"""Floors: what a score reaches that has not looked at the surface at all."""

from __future__ import annotations

from typing import ClassVar, Literal

import albumentations as A
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from reshift.losses.weighted_cross_entropy import corrected_label
from reshift.models.base import Batch, InspectionModule
from reshift.models.logistic import StandardisedLogistic


class ClassPrior(InspectionModule):
    """Floor: one score for every picture, the share of defective training labels, so its AUROC is 0.5.

    The share is taken over rows with their weights, of labels as observed.
    """

    name: ClassVar[str] = "class_prior"

    def __init__(self) -> None:
        super().__init__()
        self.share: Tensor
        self.register_buffer("share", torch.zeros(()))

    def augmentation(self, size: int) -> A.Compose | None:
        return None

    def fit(self, loader: DataLoader[Batch]) -> None:
        defective = total = 0.0
        for batch in loader:
            weight = batch["weight"].abs()
            defective += float((weight * corrected_label(batch["label"], batch["weight"])).sum())
            total += float(weight.sum())
        self.share.fill_(defective / total)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        return {"probability": self.share.expand(len(batch["index"])).clone()}


class NumberOfViews(InspectionModule):
    """Floor: how many pictures a part has; no surface is looked at.

    Where defective parts are photographed more often this alone predicts the label; an AUROC below 0.5 says that good
    parts are, which is the same leak.
    """

    name: ClassVar[str] = "n_views"
    views: Literal["one", "all"] = "all"

    def augmentation(self, size: int) -> A.Compose | None:
        return None

    def score(self, batch: Batch) -> Tensor:
        return batch["present"].sum(dim=1).float()


class SizeBrightness(InspectionModule):
    """Floor: logistic regression on a picture's size, brightness and contrast; no surface is looked at.

    Six numbers: height, width, aspect and area of the file, mean and deviation of its pixels. What it gets right, a
    model that looks at the surface does not need to have seen.
    """

    name: ClassVar[str] = "size_brightness"

    def __init__(self, inverse_penalty: float = 1.0) -> None:
        super().__init__()
        self.logistic = StandardisedLogistic(width=6, inverse_penalty=inverse_penalty)

    def augmentation(self, size: int) -> A.Compose | None:
        return None

    @staticmethod
    def describe(batch: Batch) -> Tensor:
        """Height, width, aspect, area in pixels, and mean and deviation of the image, (B, 6)."""
        height, width = batch["extent"].float().unbind(dim=1)
        pixels = batch["image"].flatten(start_dim=1)
        columns = [height, width, height / width, height * width, pixels.mean(dim=1), pixels.std(dim=1)]
        return torch.stack(columns, dim=1)

    def fit(self, loader: DataLoader[Batch]) -> None:
        self.logistic.fit((self.describe(batch), batch["label"], batch["weight"]) for batch in loader)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        return self.logistic.score(self.describe(batch))
