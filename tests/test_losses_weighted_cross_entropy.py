"""Cross-entropy under sample weights, class weights and known bad samples."""

import pytest
import torch
from torch.nn import functional as F

from reshift.losses.weighted_cross_entropy import weighted_cross_entropy

LOGITS = torch.tensor([[1.0, -1.0], [0.2, 0.5], [-0.3, 2.0]])
LABEL = torch.tensor([0, 0, 1])


def test_equal_weights_are_plain_cross_entropy() -> None:
    found = weighted_cross_entropy(LOGITS, LABEL, torch.ones(3))
    assert float(found) == pytest.approx(float(F.cross_entropy(LOGITS, LABEL)))


def test_class_weights_agree_with_torch() -> None:
    balance = torch.tensor([0.7, 2.0])
    found = weighted_cross_entropy(LOGITS, LABEL, torch.ones(3), balance)
    assert float(found) == pytest.approx(float(F.cross_entropy(LOGITS, LABEL, weight=balance)))


def test_a_weight_of_two_is_the_sample_twice() -> None:
    found = weighted_cross_entropy(LOGITS, LABEL, torch.tensor([1.0, 2.0, 1.0]))
    twice = [0, 1, 1, 2]
    assert float(found) == pytest.approx(float(F.cross_entropy(LOGITS[twice], LABEL[twice])))


def test_a_known_bad_sample_is_learned_as_defective() -> None:
    found = weighted_cross_entropy(LOGITS, LABEL, torch.tensor([1.0, -1.0, 1.0]))
    assert float(found) == pytest.approx(float(F.cross_entropy(LOGITS, torch.tensor([0, 1, 1]))))
