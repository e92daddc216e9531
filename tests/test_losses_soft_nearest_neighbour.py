"""The soft nearest neighbour loss against a numpy loop, cases worked by hand, and its sign."""

import math

import numpy as np
import pytest
import torch

from reshift.losses.soft_nearest_neighbour import soft_nearest_neighbour


def loop(embedding: np.ndarray, label: np.ndarray, temperature: float) -> float:
    """Eq. 1 of Frosst et al. (2019) on cosine distance, term by term, in float64."""
    terms = []
    for i in range(len(label)):
        same = every = 0.0
        for k in range(len(label)):
            if k == i:
                continue
            a, b = embedding[i], embedding[k]
            distance = 1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
            every += math.exp(-distance / temperature)
            if label[k] == label[i]:
                same += math.exp(-distance / temperature)
        if same > 0:
            terms.append(-math.log(same / every))
    return float(np.mean(terms)) if terms else 0.0


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_equals_the_loop(temperature: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    embedding, label = random.normal(size=(11, 5)), random.integers(0, 2, size=11)
    label[:2] = seed % 2, 1 - seed % 2
    found = soft_nearest_neighbour(torch.tensor(embedding), torch.tensor(label), temperature)
    assert float(found) == pytest.approx(loop(embedding, label, temperature), rel=1e-5)


def test_two_orthogonal_pairs() -> None:
    # Each anchor: its partner at distance 0, two others at distance 1: log(1 + 2 exp(-1/T)).
    embedding = torch.tensor([[1.0, 0], [2, 0], [0, 3], [0, 1]])
    found = soft_nearest_neighbour(embedding, torch.tensor([0, 0, 1, 1]), temperature=2.0)
    assert float(found) == pytest.approx(math.log(1 + 2 * math.exp(-0.5)), rel=1e-6)


def test_all_alike_leaves_only_counts() -> None:
    # Four equal embeddings, classes of 3 and 1: three anchors with 2 partners among 3, the fourth masked out.
    found = soft_nearest_neighbour(torch.ones(4, 3), torch.tensor([0, 0, 0, 1]))
    assert float(found) == pytest.approx(math.log(3 / 2), rel=1e-6)


def test_one_class_costs_nothing() -> None:
    assert float(soft_nearest_neighbour(torch.randn(6, 3), torch.zeros(6, dtype=torch.long))) == pytest.approx(0)


def test_a_lonely_sample_counts_as_a_neighbour_but_not_as_an_anchor() -> None:
    embedding = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    label = np.array([0, 0, 1, 1, 2])
    found = soft_nearest_neighbour(embedding, torch.tensor(label), 0.5)
    assert float(found) == pytest.approx(loop(embedding.double().numpy(), label, 0.5), rel=1e-5)


@pytest.mark.parametrize("label", [[0, 1], [0], []])
def test_no_partner_gives_zero_with_zero_gradient(label: list[int]) -> None:
    embedding = torch.randn(len(label), 3, requires_grad=True)
    loss = soft_nearest_neighbour(embedding, torch.tensor(label, dtype=torch.long))
    loss.backward()
    assert float(loss.detach()) == 0
    assert embedding.grad is not None and not embedding.grad.any()


def test_gradient_is_finite_with_a_masked_anchor() -> None:
    embedding = torch.randn(3, 3, requires_grad=True)
    soft_nearest_neighbour(embedding, torch.tensor([0, 0, 1])).backward()
    assert embedding.grad is not None and torch.isfinite(embedding.grad).all()


def test_descending_it_separates_the_classes() -> None:
    embedding = torch.randn(20, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    label = torch.arange(20) % 2

    def distances() -> tuple[float, float]:
        direction = torch.nn.functional.normalize(embedding.detach(), dim=1)
        distance = 1 - direction @ direction.T
        same = label[:, None] == label[None, :]
        return float(distance[same].mean()), float(distance[~same].mean())

    within, between = distances()
    (gradient,) = torch.autograd.grad(soft_nearest_neighbour(embedding, label), embedding)
    with torch.no_grad():
        embedding -= 5 * gradient
    assert distances()[0] < within
    assert distances()[1] > between


def test_length_of_the_embedding_does_not_matter() -> None:
    embedding, label = torch.randn(8, 4), torch.arange(8) % 2
    stretched = embedding * torch.rand(8, 1).add(0.1)
    assert float(soft_nearest_neighbour(stretched, label)) == pytest.approx(
        float(soft_nearest_neighbour(embedding, label)), rel=1e-5
    )


def test_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"temperature .* is 0"):
        soft_nearest_neighbour(torch.ones(2, 2), torch.zeros(2), 0)
