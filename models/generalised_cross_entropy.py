"""The classifier trained by generalised cross-entropy, which wrong labels pull at less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from reshift.losses.generalised_cross_entropy import generalised_cross_entropy
from reshift.models.base import Batch
from reshift.models.classifier import Classifier
from reshift.models.search_space import Choice, Range


class GeneralisedCrossEntropy(Classifier):
    """A classifier with a loss that wrong labels mislead less than cross-entropy (Zhang and Sabuncu 2018).

    `(1 - p^q) / q` in place of cross-entropy (NeurIPS 2018, eq. 6), without truncation. Validation watches plain
    cross-entropy, like the other classifiers.

    Args:
        q: published 0.7; towards 0 the loss is cross-entropy, 1 is mean absolute error.
        classifier: all arguments of `Classifier`.
    """

    name: ClassVar[str] = "generalised_cross_entropy"
    space: ClassVar[Mapping[str, Range]] = {**Classifier.space, "q": Choice((0.3, 0.5, 0.7, 0.9))}

    def __init__(self, *, q: float = 0.7, **classifier: Any) -> None:
        super().__init__(**classifier)
        self.q = q

    def loss(self, embedding: Tensor, batch: Batch) -> Tensor:
        logits = self.head(embedding).float()
        return generalised_cross_entropy(logits, batch["label"], batch["weight"], self.q, self._class_weight(logits))
