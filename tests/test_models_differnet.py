"""DifferNet: its scores and losses by hand, known bad samples, and gradient maps."""

import numpy as np
import pytest
import torch

from reshift.models.base import Batch, TrainingInfo
from reshift.models.differnet import DifferNet


def differnet(**options: float) -> DifferNet:
    torch.manual_seed(0)
    model = DifferNet("test_resnet", "none", [2], (1.0, 0.5), blocks=2, hidden=32, **options)  # type: ignore[arg-type]
    model.prepare(TrainingInfo(100, (10, 0), 1, 1, 32))
    return model


def features(model: DifferNet, rows: int = 12, weight: float = 1.0) -> Batch:
    return {
        "feature": torch.randn(rows, model.backbone.width, generator=torch.Generator().manual_seed(1)),
        "weight": torch.full((rows,), weight),
        "index": torch.arange(rows),
        "label": torch.zeros(rows, dtype=torch.long),
    }


def test_scores_are_the_negative_log_likelihood_and_z2_per_feature() -> None:
    model = differnet()
    batch, width = features(model), model.backbone.width
    latent, log_det = model.flow(batch["feature"])
    # The normal density without its constant.
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(latent).sum(dim=1) + 0.5 * width * np.log(2 * np.pi)
    found = model.score(batch)
    assert list(found) == ["nll", "z2"]
    torch.testing.assert_close(found["nll"], -(normal + log_det) / width)
    torch.testing.assert_close(found["z2"], (latent**2).mean(dim=1))


def test_training_loss_is_the_mean_nll() -> None:
    model = differnet()
    batch = features(model)
    assert float(model.training_step(batch, 0)) == pytest.approx(float(model.score(batch)["nll"].mean()), rel=1e-6)
    assert float(model.validation_loss(batch)) == pytest.approx(float(model.score(batch)["nll"].mean()), rel=1e-6)


def test_weights_count() -> None:
    model = differnet()
    batch = features(model, rows=3)
    batch["weight"] = torch.tensor([1.0, 2.0, 0.5])
    expected = np.average(model.score(batch)["nll"].detach(), weights=[1.0, 2.0, 0.5])
    assert float(model.training_step(batch, 0)) == pytest.approx(expected, rel=1e-6)


def test_a_known_bad_sample_is_pushed_until_the_margin_and_no_further() -> None:
    model = differnet(margin=0.2, lr=1e-3)
    batch = features(model)
    batch["weight"][:3] = -1.0
    optimizer = model.configure_optimizers()
    gaps = []
    for step in range(150):
        loss = model.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        nll = model.score(batch)["nll"].detach()
        gaps.append(float(nll[:3].mean() - nll[3:].mean()))
    assert gaps[-1] > 0.15 > gaps[0]
    spread = features(model, weight=-1.0)
    spread["feature"] = spread["feature"] * 100
    spread["weight"][0], spread["feature"][0] = 1.0, batch["feature"][5]
    far = model.score(spread)["nll"]
    assert (far[1:] > far[0] + model.margin).all()
    assert float(model.training_step(spread, 0)) == pytest.approx(float(far[0]) / len(far), rel=1e-5)


def test_it_learns_a_density_that_shows_outliers() -> None:
    model = differnet(lr=1e-3)
    batch = features(model, rows=64)
    optimizer = model.configure_optimizers()
    for step in range(60):
        loss = model.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fresh = features(model, rows=200)["feature"][64:]
    shifted = {**batch, "feature": fresh + 3}
    assert model.score({**batch, "feature": fresh})["nll"].max() < model.score(shifted)["nll"].median()


def test_defaults_are_the_papers() -> None:
    model = differnet()
    assert (model.train_copies, model.score_copies, model.learns_from) == (4, 64, "good")
    group = model.configure_optimizers().param_groups[0]
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (2e-4, (0.8, 0.8), 1e-4, 1e-5)
    learned = {id(parameter) for parameter in group["params"]}
    assert not learned & {id(parameter) for parameter in model.backbone.parameters()}


def test_transforms_rotate() -> None:
    white = np.full((32, 32, 3), 255, dtype=np.uint8)
    transform = differnet().score_augmentation(32)
    transform.set_random_seed(1)
    turned = transform(image=white)["image"]
    assert (turned[0, 0] == 0).all() and (turned[16, 16] == 255).all()


def test_scores_stay_float32_under_autocast() -> None:
    model = differnet()
    batch = features(model)
    expected = model.score(batch)["nll"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model.score(batch)["nll"], expected)


def test_map_is_there_under_inference_mode_and_leaves_no_gradient() -> None:
    model = differnet(map_rotations=2).eval()
    with torch.inference_mode():
        found = model.anomaly_map({"image": torch.rand(2, 3, 32, 32)})
    assert found.shape == (2, 32, 32)
    assert (found >= 0).all() and found.any() and torch.isfinite(found).all()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_map_turns_with_the_image() -> None:
    # Over the four quarter turns the set of rotated images is the same, so the map turns along.
    model = differnet(map_rotations=4).eval()
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    straight = model.anomaly_map({"image": image})
    turned = model.anomaly_map({"image": image.rot90(1, (2, 3))})
    torch.testing.assert_close(turned, straight.rot90(1, (1, 2)), rtol=1e-2, atol=1e-3 * float(straight.max()))
