"""The normalizing flow of DifferNet, from FrEIA's parts."""

from __future__ import annotations

import numpy as np
import torch
from FrEIA.framework import SequenceINN
from FrEIA.modules import GLOWCouplingBlock, PermuteRandom
from torch import Tensor, nn


class CouplingFlow(nn.Module):
    """Features (B, D) to normal latents (B, D): `blocks` x (fixed permutation, affine coupling of two halves).

    Rudolph et al. 2021 (WACV), 3.2: each coupling has two s-t networks of four linear layers with ReLU between;
    `s` is bounded to `3 * 0.636 * atan(s / 3)`; there is no batch norm.

    Args:
        width: D, at least 2.
        blocks: number of couplings.
        hidden: width of the s-t networks.
        clamp: bound of the log scale of one coupling, the 3 above.
    """

    def __init__(self, width: int, blocks: int = 8, hidden: int = 2048, clamp: float = 3.0) -> None:
        super().__init__()
        if width < 2:
            raise ValueError(f"a coupling splits its features in two halves, {width} feature is not enough")
        self.width = width

        def s_t_network(inputs: int, outputs: int) -> nn.Module:
            layers: list[nn.Module] = [nn.Linear(inputs, hidden), nn.ReLU()]
            for _ in range(2):
                layers += [nn.Linear(hidden, hidden), nn.ReLU()]
            return nn.Sequential(*layers, nn.Linear(hidden, outputs))

        def bound(s: Tensor) -> Tensor:
            # FrEIA multiplies by `clamp` but does not divide by it inside the arc tangent, as DifferNet does.
            return 0.636 * torch.atan(s / clamp)

        self.layers = SequenceINN(width)
        # PermuteRandom reseeds numpy's global generator, which belongs to the caller.
        state = np.random.get_state()
        for block in range(blocks):
            self.layers.append(PermuteRandom, seed=block)
            self.layers.append(GLOWCouplingBlock, subnet_constructor=s_t_network, clamp=clamp, clamp_activation=bound)
        np.random.set_state(state)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, D) and log |det J| (B,) in nats, both from one pass."""
        latent, log_det = self.layers(features)
        return latent, log_det

    def inverse(self, latent: Tensor) -> Tensor:
        """Features (B, D) of latents (B, D)."""
        features: Tensor = self.layers(latent, rev=True)[0]
        return features
