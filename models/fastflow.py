"""FastFlow: a normalizing flow over a frozen network's patch features that keeps their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import albumentations as A
import numpy as np
import torch
from FrEIA.framework import SequenceINN
from FrEIA.modules import GLOWCouplingBlock, PermuteRandom
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from reshift.models.base import Batch, InspectionModule
from reshift.models.patch_features import PatchFeatures, upsampled


class ConvolutionalFlow(nn.Module):
    """Maps (B, C, G, G) to normal latents (B, C, G, G): `blocks` x (fixed permutation of channels, affine coupling).

    Yu et al. 2021, 3.3: the s-t networks are two convolutions with ReLU between, 3 x 3 and 1 x 1 by turns. `s` is
    bounded as in `CouplingFlow`.

    Args:
        channels: C, at least 2.
        blocks: number of couplings.
        hidden: channels between the two convolutions; None for as many as come in.
        clamp: bound of the log scale of one coupling.
    """

    def __init__(self, channels: int, grid: int, blocks: int, hidden: int | None = None, clamp: float = 3.0) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(f"a coupling splits its channels in two halves, {channels} channel is not enough")

        def s_t_network(side: int) -> Callable[[int, int], nn.Module]:
            def build(inputs: int, outputs: int) -> nn.Module:
                between = hidden or inputs
                first = nn.Conv2d(inputs, between, side, padding="same")
                return nn.Sequential(first, nn.ReLU(), nn.Conv2d(between, outputs, side, padding="same"))

            return build

        def bound(s: Tensor) -> Tensor:
            # FrEIA multiplies by `clamp`, see `CouplingFlow`.
            return 0.636 * torch.atan(s / clamp)

        self.layers = SequenceINN(channels, grid, grid)
        # PermuteRandom reseeds numpy's global generator, which belongs to the caller.
        state = np.random.get_state()
        for block in range(blocks):
            self.layers.append(PermuteRandom, seed=block)
            self.layers.append(
                GLOWCouplingBlock,
                subnet_constructor=s_t_network(1 if block % 2 else 3),
                clamp=clamp,
                clamp_activation=bound,
            )
        np.random.set_state(state)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, C, G, G) and log |det J| (B,) in nats, both from one pass."""
        latent, log_det = self.layers(maps)
        return latent, log_det

    def inverse(self, latent: Tensor) -> Tensor:
        """Maps (B, C, G, G) of latents (B, C, G, G)."""
        maps: Tensor = self.layers(latent, rev=True)[0]
        return maps


class FastFlow(InspectionModule):
    """FastFlow: a normalising flow over frozen patch features that keeps their places (Yu et al. 2021).

    "FastFlow: Unsupervised Anomaly Detection and Localization via 2D Normalizing Flows", 2021. The paper runs a flow
    per stage and averages their maps; here one flow sees all stages on one grid. Its input is normalised per image,
    without the learned scale of public implementations: the loss does not count its volume, and shrinking the input
    would lower it. The loss is the NLL in nats per feature, the density's constant left out; weights multiply it, and
    known bad rows (negative weight) are left out.

    Scores: `max` over the patches of `|z|^2 / 2C`, minus the log of the published probability map; its `mean`; and
    the `nll` of the whole image, which alone counts the flow's volume.

    Args:
        backbone, weights, stages, timm_options, grid, channels, neighbourhood: see `PatchFeatures`. The paper averages
            over no neighbourhood. 393,216 bytes an image at the defaults.
        blocks, hidden: see `ConvolutionalFlow`.
    """

    name: ClassVar[str] = "fastflow"
    learns_from: Literal["labels", "good"] = "good"

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str = "hub",
        stages: Sequence[int] = (2, 3),
        timm_options: dict[str, Any] | None = None,
        grid: int = 16,
        channels: int | None = None,
        neighbourhood: int = 1,
        blocks: int = 8,
        hidden: int | None = None,
        lr: float = 1e-3,
        weight_decay: float = 1e-5,
    ) -> None:
        super().__init__()
        self.lr, self.weight_decay = lr, weight_decay
        self.backbone = PatchFeatures(backbone, weights, stages, timm_options, grid, channels, neighbourhood)
        self.backbone.freeze()
        self.flow = ConvolutionalFlow(self.backbone.channels, grid, blocks, hidden)

    def extractor(self) -> nn.Module:
        return self.backbone

    def augmentation(self, size: int) -> A.Compose | None:
        return None

    def likelihood(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """NLL `(|z|^2 / 2 - log |det J|) / D` (B,), and `|z|^2 / 2C` of every patch (B, G, G), of features (B, D)."""
        maps = self.backbone.maps(feature)
        latent, log_det = self.flow(F.layer_norm(maps, maps.shape[1:]))
        energy = 0.5 * latent.square().mean(dim=1)
        return energy.mean(dim=(1, 2)) - log_det / self.backbone.width, energy

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        nll, weight = self.likelihood(batch["feature"])[0], batch["weight"].clamp(min=0)
        # A batch may hold known bad rows only; it then teaches nothing.
        return (weight * nll).sum() / weight.sum().clamp(min=1e-6)

    def validation_loss(self, batch: Batch) -> Tensor:
        return self.likelihood(batch["feature"])[0].mean()

    def score(self, batch: Batch) -> dict[str, Tensor]:
        nll, energy = self.likelihood(batch["feature"])
        return {"max": energy.amax(dim=(1, 2)), "mean": energy.mean(dim=(1, 2)), "nll": nll}

    def anomaly_map(self, batch: Batch) -> Tensor:
        """`|z|^2 / 2C` of every patch at the image's size, not smoothed, as published."""
        _, energy = self.likelihood(self.backbone(batch["image"]))
        return upsampled(energy, batch["image"].shape[-2:], sigma=0)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        # The flow only; FrEIA keeps its permutations as parameters without gradient.
        learned = [parameter for parameter in self.flow.parameters() if parameter.requires_grad]
        return Adam(learned, lr=self.lr, weight_decay=self.weight_decay)
