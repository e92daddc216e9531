"""A normalising flow over single patches of a frozen network: what good patches look like, wherever they lie."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Adam

from reshift.models.base import Batch
from reshift.models.flow import CouplingFlow
from reshift.models.patch_detector import PatchDetector


class PatchFlow(PatchDetector):
    """A flow of the patches of good pictures, each by itself: DifferNet's density on patch features.

    Between DifferNet, whose features forget places, and FastFlow, whose couplings see the neighbours. Channels are
    centred and scaled by the first training batch (the data-dependent start of Glow, Kingma and Dhariwal 2018). The
    loss is the NLL in nats per feature, the density's constant left out. A known bad picture (negative weight) shows
    its defect in some patches only: its `top` should lie `margin` above that of the batch's good ones, else its loss is
    |weight| times what is missing.

    Scores: `top`, the mean NLL of the highest tenth of the patches; `max`; and the `mean`.

    Args:
        blocks, hidden: see `CouplingFlow`.
        margin: in nats per feature, as in `DifferNet`.
        removed: share of a batch's good patches, those of highest NLL, that teach nothing in it, in [0, 1): the patch
            weights of SoftPatch (Jiang et al. 2022) by likelihood in place of outlier factors.
        patches: the other arguments of `PatchDetector`.
    """

    name: ClassVar[str] = "patch_flow"

    def __init__(
        self,
        *,
        grid: int = 8,
        blocks: int = 4,
        hidden: int = 64,
        lr: float = 1e-3,
        weight_decay: float = 1e-5,
        margin: float = 0.5,
        removed: float = 0.0,
        **patches: Any,
    ) -> None:
        if not 0 <= removed < 1:
            raise ValueError(f"removed {removed}: the share of patches left out is at least 0 and below 1")
        super().__init__(grid=grid, **patches)
        self.lr, self.weight_decay, self.margin, self.removed = lr, weight_decay, margin, removed
        self.flow = CouplingFlow(self.backbone.channels, blocks, hidden)
        self.centre: Tensor
        self.scale: Tensor
        self.register_buffer("centre", torch.zeros(self.backbone.channels))
        self.started: Tensor
        self.register_buffer("scale", torch.ones(self.backbone.channels))
        self.register_buffer("started", torch.tensor(False))

    def likelihood(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """NLL `(|z|^2 / 2 - log |det J|) / C` and energy `|z|^2 / 2C` of every patch of features (B, D), (B, P)."""
        patches = self.backbone.patches(feature)
        latent, log_det = self.flow(((patches - self.centre) / self.scale).flatten(0, 1))
        energy = 0.5 * latent.square().mean(dim=1)
        nll = energy - log_det / self.flow.width + self.scale.log().mean()
        return nll.view(patches.shape[:2]), energy.view(patches.shape[:2])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        weight = self._weight(batch)
        good = weight > 0
        if self.training and not self.started and good.any():
            patches = self.backbone.patches(batch["feature"][good]).flatten(0, 1)
            deviation = patches.std(dim=0)
            self.centre.copy_(patches.mean(dim=0))
            # A channel that is constant in one batch may not be in the next: it keeps its unit.
            self.scale.copy_(torch.where(deviation > 1e-6, deviation, 1.0))
            self.started.fill_(True)
        nll = self.likelihood(batch["feature"])[0]
        top = _top(nll)
        level = top.detach()[good].mean() if good.any() else top.new_zeros(())
        missing = torch.relu(level + self.margin - top)
        pushed = (weight.clamp(max=0).abs() * missing).sum()
        return ((weight.clamp(min=0) * self._fitted(nll, good)).sum() + pushed) / weight.abs().sum()

    def validation_loss(self, batch: Batch) -> Tensor:
        return self.likelihood(batch["feature"])[0].mean()

    def score(self, batch: Batch) -> dict[str, Tensor]:
        nll = self.likelihood(batch["feature"])[0]
        return {"top": _top(nll), "max": nll.amax(dim=1), "mean": nll.mean(dim=1)}

    def patch_scores(self, feature: Tensor) -> Tensor:
        """`|z|^2 / 2C` of every patch, (B, G, G)."""
        return self.likelihood(feature)[1].view(-1, self.backbone.grid, self.backbone.grid)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        # The flow only; FrEIA keeps its permutations as parameters without gradient.
        learned = [parameter for parameter in self.flow.parameters() if parameter.requires_grad]
        return Adam(learned, lr=self.lr, weight_decay=self.weight_decay)

    def _weight(self, batch: Batch) -> Tensor:
        return batch["weight"]

    def _fitted(self, nll: Tensor, good: Tensor) -> Tensor:
        """Mean NLL of each row (B,) over the patches that teach, 0 where none is left."""
        if not self.removed or not good.any():
            return nll.mean(dim=1)
        kept = nll.detach() <= nll.detach()[good].quantile(1 - self.removed)
        return (nll * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1)


def _top(nll: Tensor) -> Tensor:
    return nll.topk(math.ceil(0.1 * nll.shape[1]), dim=1).values.mean(dim=1)
