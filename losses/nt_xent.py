"""NT-Xent, the contrastive loss of SimCLR, for any number of views."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(embedding: Tensor, identity: Tensor, temperature: float = 0.5, present: Tensor | None = None) -> Tensor:
    """Loss of shape () over embeddings (N, D) of any length; rows of the same `identity` (N,) are positives.

    With `s_ij = cos(e_i, e_j) / T`, the mean over ordered pairs i != j of one identity of

        -log( exp(s_ij)  /  (exp(s_ij) + sum_{k of another identity} exp(s_ik)) )

    so the other positives of i stand in no denominator. For two views it is eq. 1 of SimCLR (Chen et al. 2020).
    Without a positive pair, or without negatives, there is nothing to learn: 0, with zero gradient.

    Args:
        present: (N,) bool; rows that are False take no part.

    Raises:
        ValueError: the temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"temperature of NT-Xent is {temperature}, must be positive")
    if present is not None:
        embedding, identity = embedding[present], identity[present]
    direction = F.normalize(embedding.float(), dim=1)
    similarity = direction @ direction.T / temperature
    same = identity[:, None] == identity[None, :]
    itself = torch.eye(len(identity), dtype=torch.bool, device=identity.device)
    anchor, positive = (same & ~itself).nonzero(as_tuple=True)
    if len(anchor) == 0 or bool(same.all()):
        return direction.sum() * 0.0
    # Every row has a negative here: were one row like all others, all would be alike.
    negatives = similarity.masked_fill(same, -torch.inf).logsumexp(dim=1)
    return F.softplus(negatives[anchor] - similarity[anchor, positive]).mean()
