"""PatchCore: distance of a sample's patches to a memory bank of good ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, ClassVar, Literal

import albumentations as A
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from reshift.models.base import Batch, InspectionModule
from reshift.models.coreset import greedy_k_center, projected
from reshift.models.patch_features import PatchFeatures, good_patches, upsampled

_BLOCK = 2**24
"""Numbers held at a time in a search, 64 MB."""


class MemoryBank(nn.Module):
    """Patches (M, C) with a weight (M,) each, both buffers whose M comes with the data or the loaded state."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.patches: Tensor
        self.weights: Tensor
        self.register_buffer("patches", torch.zeros(0, width))
        self.register_buffer("weights", torch.zeros(0))
        self.register_load_state_dict_pre_hook(_make_room)  # type: ignore[no-untyped-call]

    def fill(self, patches: Tensor, weights: Tensor) -> None:
        """Replace what the bank holds."""
        self.patches, self.weights = patches.to(self.patches), weights.to(self.weights)

    def nearest(self, queries: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
        """Euclidean distances and indices of the k nearest patches, (N, k) each, nearest first; at most M of them."""
        k = min(k, len(self.patches))
        squares = self.patches.square().sum(dim=1)
        rows = max(1, _BLOCK // max(1, len(self.patches), k * self.patches.shape[1]))
        distances, indices = [], []
        for block in torch.split(queries, rows):
            index = torch.addmm(squares, block, self.patches.T, alpha=-2).topk(k, largest=False).indices
            # The expanded square finds the neighbours; near 0 its value is all rounding, so it is taken again.
            distances.append((block[:, None] - self.patches[index]).square().sum(dim=2).sqrt())
            indices.append(index)
        return torch.cat(distances), torch.cat(indices)


def _make_room(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *_: object) -> None:
    """Give a bank as many rows as the state holds that is about to be loaded."""
    for name, buffer in list(module.named_buffers(recurse=False)):
        if prefix + name in state:
            setattr(module, name, buffer.new_zeros(len(state[prefix + name]), *buffer.shape[1:]))


class PatchCore(InspectionModule):
    """PatchCore: distance of a picture's frozen patch features to a memory of good ones (Roth et al. 2022).

    "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022. The headline is the largest distance of a patch
    to the bank, re-weighted by how lonely its nearest neighbour is (Eq. 7); `distance` is that without the weight.
    Known bad rows (negative weight) are left out; other weights count as 1. Fitting holds all training patches, up to
    three times 4 * C * G^2 bytes a sample.

    Args:
        backbone, weights, stages, timm_options, grid, channels, neighbourhood: see `PatchFeatures`. The defaults are
            the published layers of ResNet-18, all 384 channels, 393,216 bytes an image at 16 x 16.
        share: of the training patches the bank keeps. The paper reports 25, 10 and 1 %. Choosing takes share * N
            passes over N patches: for 600 samples of 256 patches and 128 channels one core needs 15 s at 1 %, 150 s
            at 10 %.
        neighbours: b of Eq. 7, the neighbour itself counted; 1 leaves the weight out.
    """

    name: ClassVar[str] = "patchcore"
    learns_from: Literal["labels", "good"] = "good"

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str = "hub",
        stages: Sequence[int] = (2, 3),
        timm_options: dict[str, Any] | None = None,
        grid: int = 16,
        channels: int | None = None,
        neighbourhood: int = 3,
        share: float = 0.01,
        neighbours: int = 9,
    ) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"share {share}: the bank keeps more than 0 and at most 1 of the patches")
        if neighbours < 1:
            raise ValueError(f"neighbours {neighbours}: at least 1, which leaves the weight out")
        self.backbone = PatchFeatures(backbone, weights, stages, timm_options, grid, channels, neighbourhood)
        self.backbone.freeze()
        self.share, self.neighbours = share, neighbours
        self.bank = MemoryBank(self.backbone.channels)

    def extractor(self) -> nn.Module:
        return self.backbone

    def augmentation(self, size: int) -> A.Compose | None:
        return None

    def fit(self, loader: DataLoader[Batch]) -> None:
        """Choose the bank's patches.

        Raises:
            ValueError: every row is known bad.
        """
        patches = good_patches(loader, self.backbone).flatten(0, 1)
        count = max(self.neighbours, ceil(self.share * len(patches)))
        chosen = greedy_k_center(projected(patches), count)
        self.bank.fill(patches[chosen], torch.ones(len(chosen)))

    def score(self, batch: Batch) -> dict[str, Tensor]:
        patches = self.backbone.patches(batch["feature"])
        distance, index = self.bank.nearest(patches.flatten(0, 1))
        distance, index = distance.view(patches.shape[:2]), index.view(patches.shape[:2])
        largest, place = distance.max(dim=1)
        if self.neighbours == 1:
            return {"distance": largest}
        row = torch.arange(len(patches), device=place.device)
        _, around = self.bank.nearest(self.bank.patches[index[row, place]], self.neighbours)
        apart = (patches[row, place][:, None] - self.bank.patches[around]).square().sum(dim=2).sqrt()
        # The neighbour is among its own neighbours, so the ratio of Eq. 7 is below 1 but for rounding.
        lonely = 1 - torch.exp(largest - apart.logsumexp(dim=1)).clamp(max=1)
        return {"reweighted": lonely * largest, "distance": largest}

    def anomaly_map(self, batch: Batch) -> Tensor:
        """Every patch's distance to the bank, smoothed."""
        patches = self.backbone.patches(self.backbone(batch["image"]))
        distance = self.bank.nearest(patches.flatten(0, 1))[0]
        return upsampled(distance.view(-1, self.backbone.grid, self.backbone.grid), batch["image"].shape[-2:])
