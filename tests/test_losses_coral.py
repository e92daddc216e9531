"""The CORAL penalty against a numpy loop over pairs of groups and cases worked by hand."""

import itertools

import numpy as np
import pytest
import torch

from reshift.losses.coral import coral


def loop(embedding: np.ndarray, group: np.ndarray) -> float:
    """DomainBed's penalty, pair by pair."""
    members = [embedding[group == g] for g in sorted(set(group)) if g >= 0 and (group == g).sum() >= 2]
    terms = []
    for a, b in itertools.combinations(members, 2):
        means = (a.mean(axis=0) - b.mean(axis=0)) ** 2
        covariances = (np.cov(a, rowvar=False) - np.cov(b, rowvar=False)) ** 2
        terms.append(means.mean() + covariances.mean())
    return float(np.mean(terms))


@pytest.mark.parametrize(
    "group",
    [[0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 2, 2, 1, 0, 1, 2], [3, 3, 7, 7, 7, 5, 5, 9], [0, 0, 1, 1, -1, -1, -1, 2]],
    ids=["two", "three", "a lonely row", "rows without a group"],
)
def test_equals_the_loop(group: list[int]) -> None:
    embedding = np.random.default_rng(0).normal(size=(8, 5))
    found = coral(torch.tensor(embedding), torch.tensor(group))
    assert float(found) == pytest.approx(loop(embedding, np.array(group)), rel=1e-5)


def test_a_shift_costs_the_difference_of_the_means() -> None:
    embedding = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    shifted = embedding + torch.tensor([3.0, 0, 0])
    found = coral(torch.cat([embedding, shifted]), torch.arange(2).repeat_interleave(6))
    assert float(found) == pytest.approx(9 / 3, rel=1e-5)


def test_a_spread_costs_the_difference_of_the_covariances() -> None:
    # Both centred at 0, in one dimension, variances 2 and 8.
    embedding = torch.tensor([[-1.0], [1.0], [-2.0], [2.0]])
    assert float(coral(embedding, torch.tensor([0, 0, 1, 1]))) == pytest.approx((8 - 2) ** 2)


def test_groups_alike_cost_nothing() -> None:
    embedding = torch.randn(5, 4)
    assert float(coral(embedding.repeat(3, 1), torch.arange(3).repeat_interleave(5))) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("group", [[0, 0, 0], [0, 1, 2], [0, 0, 1], [-1, -1, 0], []])
def test_fewer_than_two_groups_give_zero_with_zero_gradient(group: list[int]) -> None:
    embedding = torch.randn(len(group), 3, requires_grad=True)
    loss = coral(embedding, torch.tensor(group, dtype=torch.long))
    loss.backward()
    assert float(loss.detach()) == 0
    assert embedding.grad is not None and not embedding.grad.any()


def test_descending_it_brings_the_groups_together() -> None:
    embedding = torch.randn(20, 3, generator=torch.Generator().manual_seed(1))
    group = torch.arange(20) % 2
    embedding[group == 1] += 2
    embedding.requires_grad_()
    before = coral(embedding, group)
    (gradient,) = torch.autograd.grad(before, embedding)
    assert torch.isfinite(gradient).all()
    assert float(coral((embedding - gradient).detach(), group)) < float(before.detach())
