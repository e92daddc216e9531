"""Supervised contrastive pre-training, then a linear head on the frozen features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import albumentations as A
import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor, nn

from reshift.losses.weighted_cross_entropy import corrected_label
from reshift.models.base import Batch
from reshift.models.classifier import Classifier
from reshift.models.search_space import Choice, Range
from reshift.models.simclr_augmentation import simclr_augmentation


class SupCon(Classifier):
    """SupCon: contrastive pre-training by label, then a linear layer on the frozen network (Khosla et al. 2020).

    The loss is eq. 2 (NeurIPS 2020) on two augmented copies of each image; the classes are good and defective. Two
    stages, as in the paper: the loss trains backbone and projector; then the projector is not used any more, the
    backbone is frozen in evaluation mode, and cross-entropy trains the head. Both share one budget and one cosine
    schedule. The contrastive stage counts every row alike but knows known bad ones as defective; a batch that holds one
    class only teaches it nothing.

    Args:
        pretrain_share: share of the steps that go to the contrastive stage.
        projection: width of the space in which the loss compares; published 128.
        temperature: published 0.1.
        smallest_crop: least share of the image that a random crop keeps; a smaller one may lose the defect.
        classifier: all arguments of `Classifier`.
    """

    name: ClassVar[str] = "supcon"
    space: ClassVar[Mapping[str, Range]] = {**Classifier.space, "temperature": Choice((0.07, 0.1, 0.2, 0.5))}
    train_copies: int = 2

    def __init__(
        self,
        *,
        pretrain_share: float = 0.5,
        projection: int = 128,
        temperature: float = 0.1,
        smallest_crop: float = 0.5,
        **classifier: Any,
    ) -> None:
        super().__init__(**classifier)
        if not 0 <= pretrain_share < 1:
            raise ValueError(f"pretrain_share is {pretrain_share}, must be at least 0 and less than 1")
        if temperature <= 0:
            raise ValueError(f"temperature of supcon is {temperature}, must be positive")
        self.select_after = pretrain_share
        self.smallest_crop = smallest_crop
        width = self.backbone.width
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, projection))
        self.supervised_contrast = SupConLoss(temperature)

    def augmentation(self, size: int) -> A.Compose:
        """The paper's framework rests on strong augmentation; hue stays as it is."""
        return simclr_augmentation(size, self.smallest_crop)

    def contrast(self, batch: Batch) -> Tensor:
        """Eq. 2 over the projections of all rows, as a mean over anchors, shape ()."""
        label = corrected_label(batch["label"], batch["weight"])
        loss: Tensor = self.supervised_contrast(self.projector(self.embed(batch)).float(), label)
        return loss

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        contrasting = int(self.steps_done) < round(self.select_after * self.info.steps)
        self.steps_done += 1
        if contrasting:
            return self.contrast(batch)
        # The Trainer puts the model into training mode before every run, the backbone's batch norms with it.
        self.backbone.eval()
        with torch.no_grad():
            embedding = self.embed(batch)
        return self.loss(embedding, batch)
