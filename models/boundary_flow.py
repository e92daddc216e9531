"""DifferNet that also sees the pictures known to be defective, and keeps them off the good ones' density."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from reshift.models.base import Batch
from reshift.models.differnet import DifferNet


def signed_weight(batch: Batch) -> Tensor:
    """Weights (B,) with those of rows observed as defective made negative: known to be bad."""
    weight = batch["weight"]
    return torch.where(batch["label"] == 1, -weight.abs(), weight)


class BoundaryFlow(DifferNet):
    """DifferNet that also learns from pictures labelled defective, by a hinge (after BGAD, Yao et al. 2023).

    "Explicit Boundary Guided Semi-Push-Pull Contrastive Learning for Supervised Anomaly Detection", CVPR 2023, taken to
    one feature vector a picture: only the hinge that pushes known defects beyond the good ones' level is kept, see
    `margin` of `DifferNet`; the good ones are pulled by their likelihood alone. Without a picture labelled defective it
    is DifferNet. Scores are DifferNet's, so a defect unlike the known ones is judged by the density as before.

    Args: all of `DifferNet`.
    """

    name: ClassVar[str] = "boundary_flow"
    learns_from: Literal["labels", "good"] = "labels"

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        return super().training_step({**batch, "weight": signed_weight(batch)}, batch_idx)

    def validation_loss(self, batch: Batch) -> Tensor:
        """The training loss, by observed labels."""
        return self.training_step(batch, 0)
