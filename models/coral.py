"""The classifier with a CORAL penalty that draws the groups of the training set together in its embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from reshift.losses.coral import coral
from reshift.models.base import Batch
from reshift.models.classifier import Classifier
from reshift.models.search_space import LogUniform, Range


class Coral(Classifier):
    """CORAL: a classifier whose features are aligned over components and product lines (Sun and Saenko 2016).

    `CE + gamma * CORAL` between the groups of a batch, in DomainBed's form (Gulrajani and Lopez-Paz 2021). Groups are
    component x transmission, DomainBed's domains. Its batches hold as many rows of each; here they are drawn evenly
    over the training set, so a rare group takes part where a batch holds two rows of it. The penalty sees every row
    alike, whatever its weight. Where training holds a single group this is the classifier.

    Args:
        backbone, weights, lr, weight_decay, class_balanced, timm_options, frozen_batch_norm: as for `Classifier`.
        gamma: factor of the penalty; 1 in DomainBed.
    """

    name: ClassVar[str] = "coral"
    space: ClassVar[Mapping[str, Range]] = {**Classifier.space, "gamma": LogUniform(0.1, 10.0)}

    def __init__(
        self,
        backbone: str = "resnet50",
        weights: str = "hub",
        lr: float = 1e-4,
        weight_decay: float = 0.0,
        class_balanced: bool = False,
        timm_options: dict[str, Any] | None = None,
        frozen_batch_norm: bool = False,
        gamma: float = 1.0,
    ) -> None:
        super().__init__(backbone, weights, lr, weight_decay, class_balanced, timm_options, frozen_batch_norm)
        self.gamma = gamma

    def loss(self, embedding: Tensor, batch: Batch) -> Tensor:
        return super().loss(embedding, batch) + self.gamma * coral(embedding, batch["group"])
