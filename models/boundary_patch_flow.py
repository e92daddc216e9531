"""A flow over patches that also sees the pictures known to be defective."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from reshift.models.base import Batch
from reshift.models.boundary_flow import signed_weight
from reshift.models.patch_flow import PatchFlow


class BoundaryPatchFlow(PatchFlow):
    """`PatchFlow` that also learns from pictures labelled defective, by its hinge (after BGAD, Yao et al. 2023).

    The paper pushes features at masked pixels; here no mask is needed, since the hinge asks only that the highest
    patches of a defective picture stand out.

    Args: all of `PatchFlow`.
    """

    name: ClassVar[str] = "boundary_patch_flow"
    learns_from: Literal["labels", "good"] = "labels"

    def validation_loss(self, batch: Batch) -> Tensor:
        """The training loss, by observed labels."""
        return self.training_step(batch, 0)

    def _weight(self, batch: Batch) -> Tensor:
        return signed_weight(batch)
