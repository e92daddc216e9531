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
        gamma: factor of the penalty; 1 in DomainBed.
        classifier: all arguments of `Classifier`.
    """

    name: ClassVar[str] = "coral"
    space: ClassVar[Mapping[str, Range]] = {**Classifier.space, "gamma": LogUniform(0.1, 10.0)}

    def __init__(self, *, gamma: float = 1.0, **classifier: Any) -> None:
        super().__init__(**classifier)
        self.gamma = gamma

    def loss(self, embedding: Tensor, batch: Batch) -> Tensor:
        return super().loss(embedding, batch) + self.gamma * coral(embedding, batch["group"])
