"""CORAL penalty: how far apart groups lie in the mean and covariance of their embeddings."""

from __future__ import annotations

import torch
from torch import Tensor


def coral(embedding: Tensor, group: Tensor) -> Tensor:
    """Penalty of shape () over embeddings (B, D) of groups (B,): the mean over pairs of groups a, b of

        1/D |mean_a - mean_b|^2  +  1/D^2 |cov_a - cov_b|_F^2

    The covariance term is eq. 1 of Sun and Saenko (2016) up to their factor of 1/4; the means beside it and the mean
    over pairs are DomainBed's (Gulrajani and Lopez-Paz 2021). Covariances are unbiased. Rows of group -1 and groups
    with fewer than two rows, which have no covariance, take no part; with fewer than two groups left the penalty is 0
    with zero gradient.
    """
    embedding = embedding.float()
    members = [embedding[group == g] for g in torch.unique(group) if g >= 0]
    members = [rows for rows in members if len(rows) >= 2]
    if len(members) < 2:
        return embedding.sum() * 0.0
    means = torch.stack([rows.mean(dim=0) for rows in members])
    covariances = torch.stack([torch.cov(rows.T).reshape(-1) for rows in members])
    # The mean of (a - b)^2 over all pairs is twice the unbiased variance: linear in the groups, not quadratic.
    return 2 * (means.var(dim=0).mean() + covariances.var(dim=0).mean())
