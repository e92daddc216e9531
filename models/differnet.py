"""DifferNet: a normalizing flow over frozen multi-scale features, trained on good samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import albumentations as A
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Adam
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import gaussian_blur, rotate

from reshift.models.backbone import Backbone
from reshift.models.base import Batch, InspectionModule
from reshift.models.flow import CouplingFlow
from reshift.models.search_space import LogUniform, Range


class DifferNet(InspectionModule):
    """DifferNet: how likely a picture's frozen features are under a normalising flow (Rudolph et al. 2021).

    "Same same but DifferNet", WACV 2021. Loss and score are in nats per feature. The published front is AlexNet, 256
    channels at three scales; timm has none, so the default is the stride-16 stage of ResNet-18, which gives the same
    768 features. As published, features are not standardised and training stops after its steps. The density's constant
    `log(2 pi) / 2` is left out.

    Args:
        backbone, weights, stages, scales, timm_options: see `Backbone`.
        blocks, hidden: see `CouplingFlow`.
        train_transforms: random rotations of each training image in a batch.
        score_transforms: transforms a sample is scored under: itself and random rotations.
        margin: how much higher, in nats per feature, the NLL of a known bad sample (negative weight) should lie
            than the batch's good ones; below that its loss is |weight| times what is missing (the hinge of BGAD,
            Yao et al. 2023). Unbounded repulsion would win over the fit.
        map_rotations: fixed rotations an anomaly map averages over.
    """

    name: ClassVar[str] = "differnet"
    learns_from: Literal["labels", "good"] = "good"
    space: ClassVar[Mapping[str, Range]] = {"lr": LogUniform(3e-5, 3e-3), "weight_decay": LogUniform(1e-6, 1e-2)}

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str = "hub",
        stages: Sequence[int] | None = (3,),
        scales: Sequence[float] = (1.0, 0.5, 0.25),
        timm_options: dict[str, Any] | None = None,
        blocks: int = 8,
        hidden: int = 2048,
        lr: float = 2e-4,
        weight_decay: float = 1e-5,
        train_transforms: int = 4,
        score_transforms: int = 64,
        margin: float = 0.5,
        map_rotations: int = 8,
    ) -> None:
        super().__init__()
        self.lr, self.weight_decay, self.margin, self.map_rotations = lr, weight_decay, margin, map_rotations
        self.train_copies, self.score_copies = train_transforms, score_transforms
        self.backbone = Backbone(backbone, weights, stages, scales, timm_options).freeze()
        self.flow = CouplingFlow(self.backbone.width, blocks, hidden)

    def extractor(self) -> nn.Module:
        return self.backbone

    def augmentation(self, size: int) -> A.Compose:
        """A rotation by any angle with black corners, as published."""
        return A.Compose([A.Rotate(limit=180, p=1.0)])

    def score_augmentation(self, size: int) -> A.Compose:
        return self.augmentation(size)

    def likelihood(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """`(|z|^2 / 2 - log |det J|) / D` and `|z|^2 / D` of features (B, D), both (B,)."""
        latent, log_det = self.flow(feature.float())
        square = latent.square().mean(dim=1)
        return 0.5 * square - log_det / self.flow.width, square

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        nll, weight = self.likelihood(batch["feature"])[0], batch["weight"]
        fitted = (weight.clamp(min=0) * nll).sum()
        good = nll.detach()[weight > 0]
        level = good.mean() if len(good) else nll.new_zeros(())
        missing = torch.relu(level + self.margin - nll)
        return (fitted + (weight.clamp(max=0).abs() * missing).sum()) / weight.abs().sum()

    def validation_loss(self, batch: Batch) -> Tensor:
        return self.likelihood(batch["feature"])[0].mean()

    def score(self, batch: Batch) -> dict[str, Tensor]:
        """The NLL, and the z^2 of the published code beside it."""
        # bf16 moves the NLL by .002 nats per feature, enough to reorder samples.
        with torch.autocast(device_type=batch["feature"].device.type, enabled=False):
            nll, square = self.likelihood(batch["feature"])
        return {"nll": nll, "z2": square}

    def anomaly_map(self, batch: Batch) -> Tensor:
        """Gradient of the NLL at the pixels over fixed rotations: turned back, blurred (sigma 3), |mean|, squared."""
        with torch.inference_mode(False), torch.enable_grad():
            image = batch["image"].detach().clone()
            total = torch.zeros_like(image[:, 0])
            for turn in range(self.map_rotations):
                angle = 360.0 * turn / self.map_rotations
                turned = rotate(image, angle, InterpolationMode.BILINEAR).requires_grad_()
                (gradient,) = torch.autograd.grad(self.likelihood(self.backbone(turned))[0].sum(), turned)
                back = rotate(gradient, -angle, InterpolationMode.BILINEAR)
                total += gaussian_blur(back, kernel_size=[25, 25], sigma=[3.0, 3.0]).abs().mean(dim=1)
        return (total / self.map_rotations).square()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        # The flow only; FrEIA keeps its permutations as parameters without gradient.
        learned = [parameter for parameter in self.flow.parameters() if parameter.requires_grad]
        return Adam(learned, lr=self.lr, betas=(0.8, 0.8), eps=1e-4, weight_decay=self.weight_decay)
