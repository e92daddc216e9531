"""Cross-entropy under the benchmark's sample weights, negative ones included."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def corrected_label(label: Tensor, weight: Tensor) -> Tensor:
    """Observed labels (B,) with known bad samples, those of negative `weight` (B,), called defective."""
    return torch.where(weight < 0, torch.ones_like(label), label)


def weighted_cross_entropy(logits: Tensor, label: Tensor, weight: Tensor, class_weight: Tensor | None = None) -> Tensor:
    """Weighted mean of the cross-entropy of `logits` (B, 2) with observed `label` (B,), shape ().

    A negative weight says that a sample called good is known to be bad. Its cross-entropy times a negative number
    would have no lower bound, so the sample is learned as defective with the weight's magnitude instead.

    Args:
        class_weight: (2,) factors of the good and the defective class, or None for equal ones.
    """
    target = corrected_label(label, weight)
    importance = weight.abs() if class_weight is None else weight.abs() * class_weight[target]
    losses = F.cross_entropy(logits, target, reduction="none")
    return (importance * losses).sum() / importance.sum()
