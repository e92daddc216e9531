"""Any timm backbone trained to tell good from defective by cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from reshift.losses.weighted_cross_entropy import weighted_cross_entropy
from reshift.models.backbone import Backbone
from reshift.models.base import Batch, InspectionModule
from reshift.models.cosine_schedule import adam_with_cosine
from reshift.models.search_space import LogUniform, Range


class Classifier(InspectionModule):
    """An image network trained as a whole to tell good from defective by cross-entropy (Bauer et al. 2025).

    Any timm backbone, then one linear layer to (good, defective), with Adam and a cosine schedule: the recipe of arXiv
    2511.15440. Its learning rate and weight decay are not published; these are ours.

    Args:
        backbone, weights, timm_options, frozen_batch_norm: see `Backbone`.
        class_balanced: weigh each class by the inverse of its share of the observed training labels.
    """

    name: ClassVar[str] = "classifier"
    space: ClassVar[Mapping[str, Range]] = {"lr": LogUniform(1e-5, 1e-2), "weight_decay": LogUniform(1e-6, 1e-2)}

    def __init__(
        self,
        backbone: str = "resnet50",
        weights: str = "hub",
        lr: float = 1e-4,
        weight_decay: float = 0.0,
        class_balanced: bool = False,
        timm_options: dict[str, Any] | None = None,
        frozen_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.lr, self.weight_decay, self.class_balanced = lr, weight_decay, class_balanced
        self.backbone = Backbone(backbone, weights, timm_options=timm_options, frozen_batch_norm=frozen_batch_norm)
        self.head = nn.Linear(self.backbone.width, 2)
        self.steps_done: Tensor
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.int64))

    def embed(self, batch: Batch) -> Tensor:
        """What the last layer sees, (B, D)."""
        features: Tensor = self.backbone(batch["image"])
        return features

    def loss(self, embedding: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the head on `embedding` (B, D) under the batch's weights, shape ()."""
        logits = self.head(embedding).float()
        return weighted_cross_entropy(logits, batch["label"], batch["weight"], self._class_weight(logits))

    def _class_weight(self, logits: Tensor) -> Tensor | None:
        if not self.class_balanced:
            return None
        counts = torch.tensor(self.info.class_counts, dtype=logits.dtype, device=logits.device)
        return counts.sum() / (2 * counts.clamp(min=1))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.loss(self.embed(batch), batch)
        self.steps_done += 1
        return loss

    def validation_loss(self, batch: Batch) -> Tensor:
        """The cross-entropy it is trained with; terms that depend on the make-up of a batch stay out of it."""
        return Classifier.loss(self, self.embed(batch), batch)

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """The log odds of defective, which do not saturate into ties, and the probability they stand for."""
        good, defective = self.head(self.embed(batch)).float().unbind(dim=1)
        return {"logit": defective - good, "probability": torch.sigmoid(defective - good)}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return adam_with_cosine(self.parameters(), self.lr, self.weight_decay, self.steps_done, self.info.steps)
