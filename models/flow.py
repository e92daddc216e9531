"""Normalizing flows from FrEIA's parts: affine couplings with a bounded scale, and DifferNet's, built of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from FrEIA.framework import SequenceINN
from FrEIA.modules import GLOWCouplingBlock, PermuteRandom
from torch import Tensor, nn

_CLAMP = 3.0

Subnet = Callable[[int, int], nn.Module]
"""Builds an s-t network of so many inputs and outputs."""


class Flow(nn.Module):
    """Features (B, C, ...) to normal latents of that shape: for each subnet a fixed permutation of C, then a coupling.

    A coupling scales and shifts each half of C by two s-t networks of the other. Its log scale `s` is bounded to
    `3 * 0.636 * atan(s / 3)`, as in DifferNet (Rudolph et al. 2021, 3.2).

    Args:
        shape: of one sample, C first; C at least 2.
        subnets: one a coupling, in their order.
    """

    def __init__(self, shape: tuple[int, ...], subnets: Iterable[Subnet]) -> None:
        super().__init__()
        self.layers = SequenceINN(*shape)
        # PermuteRandom reseeds numpy's global generator, which belongs to the caller.
        state = np.random.get_state()
        for block, subnet in enumerate(subnets):
            self.layers.append(_Permutation, seed=block)
            self.layers.append(GLOWCouplingBlock, subnet_constructor=subnet, clamp=_CLAMP, clamp_activation=_bounded)
        np.random.set_state(state)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, C, ...) and log |det J| (B,) in nats, both from one pass."""
        latent, log_det = self.layers(features)
        return latent, log_det

    def inverse(self, latent: Tensor) -> Tensor:
        """Features (B, C, ...) of latents (B, C, ...)."""
        features: Tensor = self.layers(latent, rev=True)[0]
        return features


class _Permutation(PermuteRandom):  # type: ignore[misc]
    """FrEIA's, to the bit, in forward and backward; on (96, 384) it takes an eighth of the time, or less."""

    def forward(self, x: Sequence[Tensor], rev: bool = False, jac: bool = True) -> tuple[list[Tensor], float]:
        # x[:, perm] is advanced indexing, whose gradient scatters element by element.
        return [x[0].index_select(1, self.perm_inv if rev else self.perm)], 0.0


def _bounded(s: Tensor) -> Tensor:
    # FrEIA multiplies by its clamp but does not divide by it inside the arc tangent, as DifferNet does.
    return 0.636 * torch.atan(s / _CLAMP)


class CouplingFlow(Flow):
    """The flow of DifferNet on features (B, D) (Rudolph et al. 2021, WACV, 3.2).

    Each coupling has two s-t networks of four linear layers with ReLU between; there is no batch norm.

    Args:
        width: D, at least 2.
        blocks: number of couplings.
        hidden: width of the s-t networks.
    """

    def __init__(self, width: int, blocks: int = 8, hidden: int = 2048) -> None:
        if width < 2:
            raise ValueError(f"a coupling splits its features in two halves, {width} feature is not enough")

        def s_t_network(inputs: int, outputs: int) -> nn.Module:
            layers: list[nn.Module] = [nn.Linear(inputs, hidden), nn.ReLU()]
            for _ in range(2):
                layers += [nn.Linear(hidden, hidden), nn.ReLU()]
            return nn.Sequential(*layers, nn.Linear(hidden, outputs))

        super().__init__((width,), [s_t_network] * blocks)
        self.width = width
