"""Group DRO's online step against a numpy loop and a case worked by hand."""

import math

import numpy as np
import pytest
import torch

from reshift.losses.group_dro import group_dro


def loop(losses: dict[int, float], weight: np.ndarray, step_size: float) -> tuple[float, np.ndarray]:
    """Algorithm 1 as its authors run it on batches: multiply, normalise, then take the loss."""
    moved = weight.copy()
    for group, loss in losses.items():
        moved[group] *= math.exp(step_size * loss)
    moved /= moved.sum()
    return sum(moved[group] * loss for group, loss in losses.items()), moved


def test_two_groups_by_hand() -> None:
    # eta = log 2 doubles the first group's weight and makes the second's fourfold: 1/3 and 2/3.
    loss, weight = group_dro(torch.tensor([1.0, 2.0]), torch.tensor([0, 1]), torch.tensor([0.5, 0.5]), math.log(2))
    assert weight.tolist() == pytest.approx([1 / 3, 2 / 3])
    assert float(loss) == pytest.approx(1 / 3 * 1 + 2 / 3 * 2)


def test_equals_the_loop_over_several_steps_with_absent_groups() -> None:
    random = np.random.default_rng(0)
    expected, weight = np.full(5, 0.2), torch.full((5,), 0.2)
    for _ in range(20):
        present = sorted(random.choice(5, size=3, replace=False).tolist())
        losses = random.exponential(size=3)
        wanted, expected = loop(dict(zip(present, losses, strict=True)), expected, 0.3)
        values = torch.tensor(losses, dtype=torch.float32)
        loss, weight = group_dro(values, torch.tensor(present), weight, 0.3)
        assert float(loss) == pytest.approx(wanted, rel=1e-5)
    assert weight.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_the_gradient_of_a_group_is_its_weight() -> None:
    losses = torch.tensor([1.0, 2.0], requires_grad=True)
    loss, weight = group_dro(losses, torch.tensor([2, 0]), torch.tensor([0.2, 0.3, 0.5]), 0.1)
    loss.backward()
    assert losses.grad is not None and torch.equal(losses.grad, weight[[2, 0]])
    assert not weight.requires_grad


def test_a_single_group_leaves_its_loss_as_it_is() -> None:
    loss, weight = group_dro(torch.tensor([0.7]), torch.tensor([0]), torch.ones(1), 0.5)
    assert float(loss) == pytest.approx(0.7) and weight.tolist() == [1]


def test_a_very_bad_batch_does_not_overflow() -> None:
    loss, weight = group_dro(torch.tensor([1e4, 1.0]), torch.tensor([0, 1]), torch.tensor([0.5, 0.5]), 1.0)
    assert weight.tolist() == [1, 0] and float(loss) == 1e4


def test_step_size_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="group DRO is -1"):
        group_dro(torch.ones(1), torch.tensor([0]), torch.ones(1), -1)
