"""The classifiers: scores, class balance, known bad samples, schedule and the contrastive term."""

import pytest
import torch
from torch.nn import functional as F

from reshift.losses.soft_nearest_neighbour import soft_nearest_neighbour
from reshift.models.base import Batch, TrainingInfo
from reshift.models.classifier import Classifier
from reshift.models.contrastive_classifier import ContrastiveClassifier

INFO = TrainingInfo(steps=10, class_counts=(6, 2), n_groups=1, n_views=1, size=32)


def batch() -> Batch:
    image = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0, 0, 1, 0, 0, 0, 1, 0])
    return {"image": image, "label": label, "weight": torch.ones(8), "index": torch.arange(8)}


def prepared(model: Classifier) -> Classifier:
    model.prepare(INFO)
    return model.eval()  # type: ignore[return-value]


def test_probability_is_the_softmax_and_the_headline_does_not_saturate() -> None:
    model = prepared(Classifier(backbone="test_resnet", weights="none"))
    logits = model.head(model.backbone(batch()["image"]))
    found = model.score(batch())
    assert next(iter(found)) == "logit"
    torch.testing.assert_close(found["probability"], logits.softmax(dim=1)[:, 1])
    with torch.no_grad():
        model.head.weight.mul_(1e4)
    found = model.score(batch())
    assert len(found["logit"].unique()) == 8 > len(found["probability"].unique())


def test_class_balance_weighs_by_the_training_counts() -> None:
    model = prepared(Classifier(backbone="test_resnet", weights="none", class_balanced=True))
    logits = model.head(model.backbone(batch()["image"]))
    expected = F.cross_entropy(logits, batch()["label"], weight=torch.tensor([1 / 6, 1 / 2]))
    assert float(model.validation_loss(batch()).detach()) == pytest.approx(float(expected), rel=1e-6)


def test_contrastive_loss_adds_a_fifth_of_the_soft_nearest_neighbour() -> None:
    model = prepared(ContrastiveClassifier(backbone="test_resnet", weights="none"))
    embedding = model.backbone(batch()["image"])
    plain = F.cross_entropy(model.head(embedding), batch()["label"])
    apart = soft_nearest_neighbour(embedding, batch()["label"], 2.0)
    assert float(model.training_step(batch(), 0).detach()) == pytest.approx(float(plain + 0.2 * apart), rel=1e-6)
    assert float(model.validation_loss(batch()).detach()) == pytest.approx(float(plain), rel=1e-6)


def test_a_known_bad_sample_changes_sides_in_both_terms() -> None:
    model = prepared(ContrastiveClassifier(backbone="test_resnet", weights="none"))
    told, flipped = batch(), batch()
    told["weight"][0], flipped["label"][0] = -1, 1
    assert float(model.training_step(told, 0)) == pytest.approx(float(model.training_step(flipped, 0)), rel=1e-6)


def test_rate_falls_along_half_a_cosine_and_goes_on_in_a_second_run() -> None:
    model = prepared(Classifier(backbone="test_resnet", weights="none", lr=1.0))
    rates = []
    for _ in range(2):
        configured = model.configure_optimizers()
        optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
        for step in range(5):
            rates.append(optimizer.param_groups[0]["lr"])
            model.training_step(batch(), step)
            optimizer.step()
            schedule.step()
    expected = [(1 + torch.cos(torch.tensor(torch.pi * step / 10))) / 2 for step in range(10)]
    assert rates == pytest.approx([float(rate) for rate in expected], abs=1e-6)


def test_a_vision_transformer_trains() -> None:
    torch.manual_seed(0)
    model = prepared(Classifier("test_vit", "none", lr=1e-3))
    configured = model.configure_optimizers()
    losses = []
    for step in range(8):
        loss = model.training_step(batch(), step)
        configured["optimizer"].zero_grad()
        loss.backward()
        configured["optimizer"].step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
