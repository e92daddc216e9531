"""Generalised cross-entropy against a numpy loop, its two limits and its weights."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from reshift.losses.generalised_cross_entropy import generalised_cross_entropy
from reshift.losses.weighted_cross_entropy import weighted_cross_entropy

LOGITS = torch.tensor([[1.0, -1.0], [0.2, 0.5], [-0.3, 2.0], [4.0, -3.0]])
LABEL = torch.tensor([0, 0, 1, 1])


def loop(logits: np.ndarray, label: np.ndarray, weight: np.ndarray, q: float) -> float:
    total = 0.0
    for row, y, w in zip(logits, label, weight, strict=True):
        probability = math.exp(row[y]) / sum(math.exp(value) for value in row)
        total += w * (1 - probability**q) / q
    return total / float(weight.sum())


@pytest.mark.parametrize("q", [0.1, 0.7, 1.0])
@pytest.mark.parametrize("weight", [[1.0, 1, 1, 1], [0.5, 2, 1, 3]])
def test_equals_the_loop(q: float, weight: list[float]) -> None:
    found = generalised_cross_entropy(LOGITS, LABEL, torch.tensor(weight), q)
    assert float(found) == pytest.approx(loop(LOGITS.numpy(), LABEL.numpy(), np.array(weight), q), rel=1e-5)


def test_an_even_guess_by_hand() -> None:
    # p = 1/4 and q = 1/2: (1 - 1/2) / (1/2).
    logits = torch.tensor([[0.0, math.log(3)]])
    assert float(generalised_cross_entropy(logits, torch.tensor([0]), torch.ones(1), 0.5)) == pytest.approx(1)


def test_towards_zero_it_is_cross_entropy() -> None:
    found = generalised_cross_entropy(LOGITS, LABEL, torch.ones(4), 1e-6)
    assert float(found) == pytest.approx(float(F.cross_entropy(LOGITS, LABEL)), rel=1e-5)


def test_at_one_it_is_half_the_mean_absolute_error() -> None:
    found = generalised_cross_entropy(LOGITS, LABEL, torch.ones(4), 1.0)
    error = (LOGITS.softmax(dim=1) - F.one_hot(LABEL, 2)).abs().sum(dim=1).mean()
    assert float(found) == pytest.approx(float(error) / 2)


def test_class_weights_and_known_bad_samples_as_in_cross_entropy() -> None:
    weight, balance = torch.tensor([1.0, -2.0, 0.5, 1.0]), torch.tensor([0.7, 2.0])
    found = generalised_cross_entropy(LOGITS, LABEL, weight, 1e-6, balance)
    assert float(found) == pytest.approx(float(weighted_cross_entropy(LOGITS, LABEL, weight, balance)), rel=1e-5)


def test_a_row_that_looks_wrong_pulls_less_than_under_cross_entropy() -> None:
    # The gradient by the logits is p^q times that of cross-entropy (section 3.2 of the paper).
    logits = torch.tensor([[5.0, -5.0]], requires_grad=True)
    label = torch.tensor([1])
    (ours,) = torch.autograd.grad(generalised_cross_entropy(logits, label, torch.ones(1), 0.7), logits)
    (plain,) = torch.autograd.grad(F.cross_entropy(logits, label), logits)
    probability = float(logits.detach().softmax(dim=1)[0, 1])
    torch.testing.assert_close(ours, plain * probability**0.7)


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[300.0, -300.0], [300.0, -300.0]], requires_grad=True)
    loss = generalised_cross_entropy(logits, torch.tensor([0, 1]), torch.ones(2))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.5 / 0.7)
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("q", [0, 1.5, -1])
def test_q_lies_between_zero_and_one(q: float) -> None:
    with pytest.raises(ValueError, match=f"is {q},"):
        generalised_cross_entropy(LOGITS, LABEL, torch.ones(4), q)
