"""The classifier trained on mixtures of two images and of their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Beta

from reshift.models.base import Batch
from reshift.models.classifier import Classifier
from reshift.models.search_space import LogUniform, Range


class Mixup(Classifier):
    """Mixup: a classifier trained on blends of two images and of their labels (Zhang et al. 2018).

    Section 2 of the ICLR paper: each image is mixed with a partner of its own batch. As in the paper's code, a batch
    has one share, drawn from Beta(alpha, alpha), and the partners are a permutation. (DomainBed mixes across domains
    instead; its alpha is the same.) A label's part of the loss carries the weight of the row it comes from.

    Args:
        alpha: positive; small values leave most batches nearly unmixed. 0.2 for ImageNet in the paper and in DomainBed.
        classifier: all arguments of `Classifier`.
    """

    name: ClassVar[str] = "mixup"
    space: ClassVar[Mapping[str, Range]] = {**Classifier.space, "alpha": LogUniform(0.1, 10.0)}

    def __init__(self, *, alpha: float = 0.2, **classifier: Any) -> None:
        super().__init__(**classifier)
        if alpha <= 0:
            raise ValueError(f"alpha of mixup is {alpha}, must be positive")
        self.alpha = alpha

    def mixed_loss(self, batch: Batch, share: float, partner: Tensor) -> Tensor:
        """Loss of `share` of each row and the rest of its `partner`, a permutation (B,) of the rows; shape ()."""
        image = share * batch["image"] + (1 - share) * batch["image"][partner]
        embedding = self.embed({**batch, "image": image})
        theirs = {key: batch[key][partner] for key in ("label", "weight")}
        return share * self.loss(embedding, batch) + (1 - share) * self.loss(embedding, theirs)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        # Drawn on the CPU, so that a seed gives the same mixtures on every device.
        share = float(Beta(self.alpha, self.alpha).sample())
        partner = torch.randperm(len(batch["index"])).to(batch["image"].device)
        self.steps_done += 1
        return self.mixed_loss(batch, share, partner)
