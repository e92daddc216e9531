"""A frozen network's maps as one grid of patch features, flattened so that they are cached like any features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import gaussian_blur

from reshift.models.backbone import Backbone
from reshift.models.base import Batch

_CHANNELS_SEED = 0


class PatchFeatures(Backbone):
    """Images (B, 3, H, W) in [0, 1] to patch features (B, C * G * G), the maps of all stages on one G x G grid.

    Each stage's map is averaged over each patch's neighbourhood with zeros around the map (PatchCore, Roth et al.
    2022, Eq. 1-2), brought to the grid, bilinearly where it is coarser and by area where it is finer, and concatenated.
    A cached image takes 4 * C * G * G bytes: 131,072 for MobileNetV2's stages 2 and 3, all 128 channels, G = 16.

    Args:
        name, weights, stages, timm_options: see `Backbone`.
        grid: G. At 128 px a stage of stride 8 has 16; more than the finest stage has adds bytes and no information.
        channels: at most so many, drawn once and for all (PaDiM, Defard et al. 2021, 3.1); None keeps them all.
        neighbourhood: side of the square a patch averages over, odd; 1 leaves the maps as they are.

    Attributes:
        channels: C, as many as were kept.
    """

    def __init__(
        self,
        name: str,
        weights: str = "hub",
        stages: Sequence[int] = (2, 3),
        timm_options: dict[str, Any] | None = None,
        grid: int = 16,
        channels: int | None = None,
        neighbourhood: int = 3,
    ) -> None:
        super().__init__(name, weights, stages, timm_options=timm_options)
        if grid < 1:
            raise ValueError(f"grid {grid}: patches lie on a grid of at least 1 x 1")
        if channels is not None and channels < 1:
            raise ValueError(f"channels {channels}: keep at least one, or all with null")
        if neighbourhood < 1 or neighbourhood % 2 == 0:
            raise ValueError(f"neighbourhood {neighbourhood}: a patch is centred in it, give an odd number")
        self.grid, self.neighbourhood = grid, neighbourhood
        draw = torch.Generator().manual_seed(_CHANNELS_SEED)
        kept = torch.randperm(sum(self._channels()), generator=draw)[:channels].sort().values
        self.kept: Tensor
        # Persistent, though the seed is fixed: the draw is torch's, and cached features are keyed by the state.
        self.register_buffer("kept", kept)
        self.channels = len(kept)
        self.width = self.channels * grid**2

    def forward(self, image: Tensor) -> Tensor:
        maps = self.network.forward_intermediates(
            (image - self.mean) / self.std,
            indices=self.stages,
            stop_early=True,
            intermediates_only=True,
            output_fmt="NCHW",
        )
        return torch.cat([self._on_grid(stage) for stage in maps], dim=1)[:, self.kept].flatten(start_dim=1)

    def _on_grid(self, stage: Tensor) -> Tensor:
        if self.neighbourhood > 1:
            stage = F.avg_pool2d(stage, self.neighbourhood, stride=1, padding=self.neighbourhood // 2)
        if min(stage.shape[-2:]) >= self.grid:
            return F.adaptive_avg_pool2d(stage, self.grid)
        return F.interpolate(stage, size=(self.grid, self.grid), mode="bilinear", align_corners=False)

    def maps(self, feature: Tensor) -> Tensor:
        """Features (B, C * G * G) as maps (B, C, G, G), float32."""
        return feature.float().view(-1, self.channels, self.grid, self.grid)

    def patches(self, feature: Tensor) -> Tensor:
        """Features (B, C * G * G) as patches (B, G * G, C), row by row of the grid, float32."""
        return self.maps(feature).flatten(start_dim=2).transpose(1, 2)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, grid={self.grid}, neighbourhood={self.neighbourhood}"


def good_patches(loader: Iterable[Batch], features: PatchFeatures) -> Tensor:
    """Patches of the rows that are not known to be bad, (N, G * G, C).

    Raises:
        ValueError: every row is known bad.
    """
    kept = torch.cat([batch["feature"][batch["weight"] > 0] for batch in loader])
    if not len(kept):
        raise ValueError("every training row is known bad (negative weight): nothing is left to learn what good is")
    return features.patches(kept)


def upsampled(grid: Tensor, size: Sequence[int], sigma: float = 4.0) -> Tensor:
    """A value per patch (B, G, G) as a map (B, H, W) of `size`: bilinear, then a Gaussian of `sigma` pixels.

    The 4 pixels are PaDiM's and PatchCore's, cut off at four sigma; 0 leaves the Gaussian out. Needs H, W > 4 sigma.
    """
    pixels = F.interpolate(grid[:, None], size=tuple(size), mode="bilinear", align_corners=False)
    if sigma > 0:
        reach = 2 * round(4 * sigma) + 1
        # One axis after the other: the square kernel would cost 16 times as much.
        for kernel in ([reach, 1], [1, reach]):
            pixels = gaussian_blur(pixels, kernel_size=kernel, sigma=[sigma, sigma])
    return pixels[:, 0]
