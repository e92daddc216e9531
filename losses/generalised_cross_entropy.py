"""Generalised cross-entropy, a loss between cross-entropy and mean absolute error that wrong labels pull at less."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from reshift.losses.weighted_cross_entropy import corrected_label


def generalised_cross_entropy(
    logits: Tensor, label: Tensor, weight: Tensor, q: float = 0.7, class_weight: Tensor | None = None
) -> Tensor:
    """Weighted mean of `(1 - p_y^q) / q` over the softmax of `logits` (B, 2), shape (); p_y is that of `label` (B,).

    Eq. 6 of Zhang and Sabuncu (NeurIPS 2018). q towards 0 is cross-entropy; q = 1 is `1 - p_y`, half the mean absolute
    error. A row counts at most 1/q, however wrong its label looks. Weights are those of `weighted_cross_entropy`.

    Args:
        q: above 0, at most 1.
        class_weight: (2,) factors of the good and the defective class, or None for equal ones.

    Raises:
        ValueError: q lies outside.
    """
    if not 0 < q <= 1:
        raise ValueError(f"q of the generalised cross-entropy is {q}, must be above 0 and at most 1")
    target = corrected_label(label, weight)
    importance = weight.abs() if class_weight is None else weight.abs() * class_weight[target]
    # expm1 keeps the digits that 1 - p^q loses where q log p is small.
    losses = -torch.expm1(-q * F.cross_entropy(logits, target, reduction="none")) / q
    return (importance * losses).sum() / importance.sum()
