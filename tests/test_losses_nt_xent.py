"""NT-Xent against a numpy loop, a case worked by hand and pytorch-metric-learning."""

import math

import numpy as np
import pytest
import torch

from reshift.losses.nt_xent import nt_xent


def loop(embedding: np.ndarray, identity: np.ndarray, temperature: float) -> float:
    direction = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    terms = []
    for i in range(len(identity)):
        others = [k for k in range(len(identity)) if identity[k] != identity[i]]
        negatives = sum(math.exp(direction[i] @ direction[k] / temperature) for k in others)
        for j in range(len(identity)):
            if j != i and identity[j] == identity[i]:
                positive = math.exp(direction[i] @ direction[j] / temperature)
                terms.append(-math.log(positive / (positive + negatives)))
    return float(np.mean(terms))


@pytest.mark.parametrize("identity", [[0, 0, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 2, 2]])
def test_equals_the_loop(identity: list[int]) -> None:
    embedding = np.random.default_rng(0).normal(size=(len(identity), 6))
    found = nt_xent(torch.tensor(embedding), torch.tensor(identity), 0.5)
    assert float(found) == pytest.approx(loop(embedding, np.array(identity), 0.5), rel=1e-5)


@pytest.mark.parametrize("views", [2, 3, 5])
def test_equals_pytorch_metric_learning(views: int) -> None:
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    embedding = torch.randn(6 * views, 7, generator=torch.Generator().manual_seed(views))
    identity = torch.arange(6).repeat(views)
    theirs = losses.NTXentLoss(temperature=0.2)(embedding, identity)
    assert float(nt_xent(embedding, identity, 0.2)) == pytest.approx(float(theirs), rel=1e-5)


def test_two_orthogonal_pairs() -> None:
    embedding = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    found = nt_xent(embedding, torch.tensor([0, 0, 1, 1]), temperature=0.5)
    assert float(found) == pytest.approx(math.log(1 + 2 * math.exp(-2)), rel=1e-6)


def test_absent_rows_take_no_part() -> None:
    embedding, identity = torch.randn(6, 4), torch.tensor([0, 0, 0, 1, 1, 1])
    present = torch.tensor([True, True, False, True, True, False])
    spoilt = torch.where(present[:, None], embedding, torch.nan)
    assert float(nt_xent(spoilt, identity, 0.5, present)) == float(nt_xent(embedding[present], identity[present], 0.5))


@pytest.mark.parametrize("identity", [[0, 1, 2], [0, 0, 0], [0], []])
def test_nothing_to_learn_gives_zero_with_zero_gradient(identity: list[int]) -> None:
    embedding = torch.randn(len(identity), 3, requires_grad=True)
    loss = nt_xent(embedding, torch.tensor(identity, dtype=torch.long))
    loss.backward()
    assert float(loss.detach()) == 0
    assert embedding.grad is not None and not embedding.grad.any()


def test_gradient_is_finite_at_a_low_temperature() -> None:
    embedding = torch.randn(8, 3, requires_grad=True)
    nt_xent(embedding, torch.arange(4).repeat(2), 0.01).backward()
    assert embedding.grad is not None and torch.isfinite(embedding.grad).all()


def test_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError, match="NT-Xent is -1"):
        nt_xent(torch.ones(2, 2), torch.zeros(2), -1)
