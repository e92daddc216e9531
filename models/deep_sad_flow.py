"""A flow that pushes known defects away by the inverse of their distance, without a margin."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from reshift.models.base import Batch
from reshift.models.boundary_flow import BoundaryFlow, signed_weight


class DeepSadFlow(BoundaryFlow):
    """`BoundaryFlow` with the penalty of Deep SAD on known defects, the inverse of their squared distance.

    After Ruff et al., "Deep Semi-Supervised Anomaly Detection", ICLR 2020, eq. 7, with the flow's |z|^2 / D as squared
    distance to the centre and the flow's likelihood for good pictures, which cannot collapse as a plain distance can.
    Their weight eta is 1. `margin` is not used.

    Args: all of `DifferNet`.
    """

    name: ClassVar[str] = "deep_sad_flow"

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        nll, square = self.likelihood(batch["feature"])
        weight = signed_weight(batch)
        # A feature exactly at the centre would have no finite penalty; 1e-6 is Deep SAD's own.
        pushed = weight.clamp(max=0).abs() / (square + 1e-6)
        return (weight.clamp(min=0) * nll + pushed).sum() / weight.abs().sum()
