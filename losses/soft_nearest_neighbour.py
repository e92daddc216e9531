"""Soft nearest neighbour loss on cosine distance, which pulls each class together and apart from the other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def soft_nearest_neighbour(embedding: Tensor, label: Tensor, temperature: float = 2.0) -> Tensor:
    """Loss of shape () over embeddings (B, D) of any length and labels (B,); a positive multiple separates classes.

    With `d_ij = 1 - cos(e_i, e_j)`, the mean over anchors i that have a partner of the same class of

        -log( sum_{j != i, y_j = y_i} exp(-d_ij / T)  /  sum_{k != i} exp(-d_ik / T) )

    (Frosst et al. 2019, eq. 1, in the cosine form of Bauer et al., arXiv 2511.15440). Anchors without a partner have
    a logarithm of zero and are left out; if no anchor has one the loss is 0 and so is its gradient. With T = 2 the
    kernel spans only exp(-1) to 1.

    Raises:
        ValueError: the temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature of the soft nearest neighbour loss is {temperature}, must be positive")
    direction = F.normalize(embedding.float(), dim=1)
    closeness = (direction @ direction.T - 1) / temperature
    itself = torch.eye(len(label), dtype=torch.bool, device=label.device)
    same = (label[:, None] == label[None, :]) & ~itself
    anchor = same.any(dim=1)
    if not anchor.any():
        return direction.sum() * 0.0
    # Rows without a partner go before the logarithm: masked after it, their gradient would be NaN.
    closeness, same, itself = closeness[anchor], same[anchor], itself[anchor]
    to_same = closeness.masked_fill(~same, -torch.inf).logsumexp(dim=1)
    to_all = closeness.masked_fill(itself, -torch.inf).logsumexp(dim=1)
    return (to_all - to_same).mean()
