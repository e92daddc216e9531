"""Logistic regression on standardised columns, kept as tensors so that it travels in a state dict."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from reshift.losses.weighted_cross_entropy import corrected_label


class StandardisedLogistic(nn.Module):
    """scikit-learn's regression with an L2 penalty, fitted once, then a linear layer.

    Args:
        width: number D of columns.
        inverse_penalty: scikit-learn's `C`.
    """

    def __init__(self, width: int, inverse_penalty: float) -> None:
        super().__init__()
        self.inverse_penalty = inverse_penalty
        self.centre: Tensor
        self.scale: Tensor
        self.slope: Tensor
        self.intercept: Tensor
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("slope", torch.zeros(width))
        self.register_buffer("intercept", torch.zeros(()))

    def fit(self, batches: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Learn from columns (B, D), observed labels (B,) and weights (B,); negative weight means defective.

        Raises:
            ValueError: there is one class only.
        """
        columns, labels, weights = (torch.cat(part).cpu() for part in zip(*batches, strict=True))
        labels = corrected_label(labels, weights)
        if bool((labels == labels[0]).all()):
            seen = f"all {len(labels)} rows are of class {int(labels[0])}"
            raise ValueError(f"logistic regression needs both classes, {seen}")
        scaler = StandardScaler().fit(columns.double().numpy())
        regression = LogisticRegression(C=self.inverse_penalty, max_iter=5000)
        regression.fit(scaler.transform(columns.double().numpy()), labels.numpy(), weights.abs().double().numpy())
        self.centre.copy_(torch.from_numpy(scaler.mean_))
        self.scale.copy_(torch.from_numpy(scaler.scale_))
        self.slope.copy_(torch.from_numpy(regression.coef_[0]))
        self.intercept.fill_(float(regression.intercept_[0]))

    def score(self, columns: Tensor) -> dict[str, Tensor]:
        """Log odds and probability of defective, both (B,), of columns (B, D)."""
        logit = (columns.float() - self.centre) / self.scale @ self.slope + self.intercept
        return {"logit": logit, "probability": torch.sigmoid(logit)}
