"""The classifier with a soft-nearest-neighbour term on the embedding before its last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from reshift.losses.soft_nearest_neighbour import soft_nearest_neighbour
from reshift.losses.weighted_cross_entropy import corrected_label
from reshift.models.base import Batch
from reshift.models.classifier import Classifier
from reshift.models.search_space import Choice, LogUniform, Range


class ContrastiveClassifier(Classifier):
    """A classifier with a second loss that draws good and defective apart in its features (Bauer et al. 2025).

    `CE + alpha * soft-nearest-neighbour` on cosine distance (arXiv 2511.15440); the classes are good and defective, not
    the component.

    Args:
        alpha: published 0.2; positive separates the classes.
        temperature: published 2.0.
        classifier: all arguments of `Classifier`.
    """

    name: ClassVar[str] = "contrastive_classifier"
    space: ClassVar[Mapping[str, Range]] = {
        **Classifier.space,
        "alpha": LogUniform(0.02, 2.0),
        "temperature": Choice((0.1, 0.5, 2.0)),
    }

    def __init__(self, *, alpha: float = 0.2, temperature: float = 2.0, **classifier: Any) -> None:
        super().__init__(**classifier)
        self.alpha, self.temperature = alpha, temperature

    def loss(self, embedding: Tensor, batch: Batch) -> Tensor:
        label = corrected_label(batch["label"], batch["weight"])
        apart = soft_nearest_neighbour(embedding, label, self.temperature)
        return super().loss(embedding, batch) + self.alpha * apart
