"""Flows for wrongly labelled training data: losses by hand, what is left out, what is pushed, and what they learn."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reshift.benchmark.catalog import full_arguments
from reshift.benchmark.check_model import check_model
from reshift.models.base import Batch, TrainingInfo
from reshift.models.boundary_flow import BoundaryFlow, signed_weight
from reshift.models.boundary_patch_flow import BoundaryPatchFlow
from reshift.models.deep_sad_flow import DeepSadFlow
from reshift.models.differnet import DifferNet
from reshift.models.patch_flow import PatchFlow
from reshift.models.trimmed_flow import TrimmedFlow

SIZE, GRID, CHANNELS = 32, 4, 6
Floats = NDArray[np.float64]


def flow(cls: Any, **options: Any) -> Any:
    """A flow of whole pictures; the same seed gives all of these classes the same weights."""
    torch.manual_seed(0)
    model = cls(backbone="test_resnet", weights="none", stages=[2], scales=(1.0, 0.5), blocks=2, hidden=16, **options)
    model.prepare(TrainingInfo(100, (10, 0), 1, 1, SIZE))
    return model


def patch_flow(cls: Any = PatchFlow, seed: int = 0, **options: Any) -> Any:
    """A flow of 4 x 4 patches of 6 channels each."""
    torch.manual_seed(seed)
    own = {"grid": GRID, "channels": CHANNELS, "blocks": 2, "hidden": 16, **options}
    model = cls(backbone="test_resnet", weights="none", stages=[1, 2], **own)
    model.prepare(TrainingInfo(100, (10, 0), 1, 1, SIZE))
    return model


def batch_of(model: Any, weight: list[float], label: list[int] | None = None, seed: int = 1) -> Batch:
    """Random features, as many rows as there are weights."""
    rows = len(weight)
    return {
        "feature": torch.randn(rows, model.backbone.width, generator=torch.Generator().manual_seed(seed)),
        "weight": torch.tensor(weight),
        "index": torch.arange(rows),
        "label": torch.tensor(label or [0] * rows),
    }


def in_numpy(values: Tensor) -> Floats:
    return values.detach().double().numpy()


def hinge_loss(fitted: Floats, pushed: Floats, weight: Floats, margin: float) -> float:
    """What good rows lose by their fit and known bad ones by lying less than `margin` above the good ones' level."""
    level = [value for value, w in zip(pushed, weight, strict=True) if w > 0]
    total = 0.0
    for fit, push, w in zip(fitted, pushed, weight, strict=True):
        total += w * fit if w > 0 else -w * max(0.0, (np.mean(level) if level else 0.0) + margin - push)
    return total / float(np.abs(weight).sum())


def training_loss(model: Any, batch: Batch) -> float:
    return float(model.training_step(batch, 0).detach())


def train(model: Any, batch: Batch, steps: int) -> None:
    optimizer = model.configure_optimizers()
    for step in range(steps):
        loss = model.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()


# Pictures labelled defective.


def test_rows_labelled_defective_are_known_bad_whatever_their_weight() -> None:
    batch = {"weight": torch.tensor([1.0, 1.0, -1.0, 0.5, -0.5]), "label": torch.tensor([0, 1, 1, 1, 0])}
    assert signed_weight(batch).tolist() == [1.0, -1.0, -1.0, -0.5, -0.5]


def test_boundary_flow_is_differnet_with_known_bad_rows_for_labels() -> None:
    model, plain = flow(BoundaryFlow), flow(DifferNet)
    weight, label = [1.0, 2.0, 1.0, -1.0, 0.5, -0.7], [0, 0, 1, 1, 1, 0]
    batch = batch_of(model, weight, label)
    signed = [1.0, 2.0, -1.0, -1.0, -0.5, -0.7]
    # One defect lies beyond the margin already.
    batch["feature"][2] *= 20
    nll = in_numpy(model.score(batch)["nll"])
    assert nll[2] > np.mean(nll[:2]) + model.margin > max(nll[3:])
    found = model.training_step(batch, 0)
    assert float(found.detach()) == pytest.approx(hinge_loss(nll, nll, np.array(signed), model.margin), rel=1e-5)
    assert torch.equal(found, plain.training_step({**batch, "weight": torch.tensor(signed)}, 0))
    assert torch.equal(found, model.validation_loss(batch))
    assert batch["weight"].tolist() == torch.tensor(weight).tolist()


@pytest.mark.parametrize("cls", [BoundaryFlow, DeepSadFlow])
def test_without_a_known_defect_it_is_differnet(cls: Any) -> None:
    model, plain = flow(cls), flow(DifferNet)
    assert (model.learns_from, plain.learns_from) == ("labels", "good")
    batch = batch_of(model, [1.0, 2.0, 0.5])
    torch.testing.assert_close(model.training_step(batch, 0), plain.training_step(batch, 0))
    torch.testing.assert_close(model.score(batch), plain.score(batch))


def test_boundary_flow_pushes_labelled_defects_beyond_the_margin() -> None:
    model = flow(BoundaryFlow, margin=0.2, lr=1e-3)
    batch = batch_of(model, [1.0] * 12, [1] * 3 + [0] * 9)
    before = in_numpy(model.score(batch)["nll"])
    train(model, batch, 120)
    after = in_numpy(model.score(batch)["nll"])
    assert after[:3].mean() - after[3:].mean() > 0.15 > before[:3].mean() - before[3:].mean()


def test_deep_sad_penalises_known_defects_by_their_inverse_distance() -> None:
    model = flow(DeepSadFlow)
    weight, label = [1.0, 2.0, 1.0, -1.0, -0.5], [0, 0, 1, 1, 0]
    batch = batch_of(model, weight, label)
    latent, log_det = model.flow(batch["feature"])
    z, log_det, width = in_numpy(latent), in_numpy(log_det), model.backbone.width
    total = 0.0
    for row in range(5):
        square = float(np.sum(z[row] ** 2)) / width
        if row < 2:
            total += weight[row] * (0.5 * square - log_det[row] / width)
        else:
            total += abs(weight[row]) / (square + 1e-6)
    assert training_loss(model, batch) == pytest.approx(total / 5.5, rel=1e-5)
    assert float(model.validation_loss(batch).detach()) == pytest.approx(total / 5.5, rel=1e-5)


def test_deep_sad_stays_finite_for_a_defect_at_the_centre() -> None:
    model = flow(DeepSadFlow)
    batch = batch_of(model, [1.0, 1.0], [1, 1])
    with torch.no_grad():
        batch["feature"] = model.flow.inverse(torch.zeros(2, model.backbone.width))
    loss = model.training_step(batch, 0)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1e6, rel=1e-2)
    assert all(torch.isfinite(p.grad).all() for p in model.flow.parameters() if p.grad is not None)


# The least likely pictures of a batch.


@pytest.mark.parametrize(
    ("trimmed", "bad", "left_out"),
    [(0.1, [], 1), (0.25, [], 2), (0.3, [], 3), (0.25, [4], 1), (0.5, [0, 3], 2), (0.25, [1, 2, 6], 0), (0.9, [], 7)],
)
def test_trimmed_flow_leaves_out_the_worst_pictures_with_all_their_copies(
    trimmed: float, bad: list[int], left_out: int
) -> None:
    pictures, copies = 8, 3
    model = flow(TrimmedFlow, trimmed=trimmed, train_transforms=copies)
    weight = np.ones(pictures)
    weight[bad] = -1.0
    weight[7] = 0.5
    batch = batch_of(model, [float(w) for w in weight for _ in range(copies)])
    # Known bad pictures fit worst; of the good ones picture 2 does, though 5 has the worst copy and 1 the worst first.
    of_picture = batch["feature"].view(pictures, copies, -1)
    of_picture[2] *= 2.2
    of_picture[5, 2] *= 3
    of_picture[1, 0] *= 2.6
    of_picture[bad] *= 4
    nll = in_numpy(model.score(batch)["nll"])
    means = {p: np.mean([nll[p * copies + copy] for copy in range(copies)]) for p in range(pictures) if p not in bad}
    gone = sorted(means, key=lambda picture: -means[picture])[:left_out]
    kept = np.array([0.0 if p in gone else weight[p] for p in range(pictures) for _ in range(copies)])
    expected = hinge_loss(nll[kept != 0], nll[kept != 0], kept[kept != 0], model.margin)
    assert training_loss(model, batch) == pytest.approx(expected, rel=1e-5)
    assert (batch["weight"] != 0).all()


def test_a_left_out_picture_has_no_gradient() -> None:
    model = flow(TrimmedFlow, trimmed=0.2, train_transforms=2)
    batch = batch_of(model, [1.0] * 10)
    batch["feature"][6:8] *= 5
    batch["feature"].requires_grad_()
    model.training_step(batch, 0).backward()
    moved = batch["feature"].grad.abs().amax(dim=1) > 0  # type: ignore[union-attr]
    assert moved.tolist() == [True] * 6 + [False] * 2 + [True] * 2


def test_trimming_nothing_is_differnet() -> None:
    model, plain = flow(TrimmedFlow, trimmed=0.0), flow(DifferNet)
    batch = batch_of(model, [1.0] * 8 + [-1.0] * 4 + [2.0] * 4)
    assert torch.equal(model.training_step(batch, 0), plain.training_step(batch, 0))
    assert torch.equal(model.validation_loss(batch), plain.validation_loss(batch))


@pytest.mark.parametrize("weight", [[-1.0] * 8, [1.0] * 4, [-1.0] * 4 + [1.0] * 4])
def test_a_batch_of_at_most_one_good_picture_is_not_trimmed(weight: list[float]) -> None:
    model, plain = flow(TrimmedFlow, trimmed=0.9), flow(DifferNet)
    batch = batch_of(model, weight)
    found = model.training_step(batch, 0)
    assert torch.isfinite(found) and torch.equal(found, plain.training_step(batch, 0))


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="trimmed"):
        flow(TrimmedFlow, trimmed=share)
    with pytest.raises(ValueError, match="removed"):
        patch_flow(removed=share)


# Patches.


def patch_nll(model: Any, batch: Batch) -> Floats:
    """NLL of every patch (B, P); the first test below says that it is one."""
    with torch.no_grad():
        return in_numpy(model.likelihood(batch["feature"])[0])


def tops(nll: Floats) -> Floats:
    """Mean of the highest tenth of 16 patches: of two."""
    return np.array([np.mean(sorted(row)[-2:]) for row in nll])


def test_nll_is_that_of_a_normal_density_seen_through_the_flow_patch_by_patch() -> None:
    model = patch_flow()
    batch = batch_of(model, [1.0] * 3)
    batch["feature"] = 4 + 3 * batch["feature"]
    model.training_step(batch, 0)
    nll, energy = model.likelihood(batch["feature"])
    assert nll.shape == energy.shape == (3, GRID**2)
    maps = batch["feature"].view(3, CHANNELS, GRID, GRID)
    for row, down, right in ((0, 0, 0), (1, 2, 3), (2, 3, 1)):
        patch = (maps[row, :, down, right] - model.centre) / model.scale
        jacobian: Any = torch.func.jacrev(lambda x: model.flow(x[None])[0][0])(patch)
        latent = model.flow(patch[None])[0][0]
        normal: Any = torch.distributions.Normal(0.0, 1.0)
        density = normal.log_prob(latent).sum() + torch.linalg.slogdet(jacobian)[1]
        expected = -density / CHANNELS - 0.5 * math.log(2 * math.pi) + model.scale.log().mean()
        torch.testing.assert_close(nll[row, GRID * down + right], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(energy[row, GRID * down + right], latent.square().sum() / (2 * CHANNELS))


def test_scores_are_the_highest_tenth_the_highest_and_the_mean() -> None:
    for grid, highest in ((GRID, 2), (8, 7)):
        model = patch_flow(grid=grid)
        batch = batch_of(model, [1.0] * 5)
        nll, found = patch_nll(model, batch), model.score(batch)
        assert list(found) == ["top", "max", "mean"]
        expected = [[np.mean(sorted(row)[-highest:]), max(row), np.mean(row)] for row in nll]
        np.testing.assert_allclose(np.stack([in_numpy(v) for v in found.values()], axis=1), expected, rtol=1e-5)
        assert float(model.validation_loss(batch).detach()) == pytest.approx(nll.mean(), rel=1e-5)


def expected_start(batch: Batch, good: list[int]) -> tuple[Floats, Floats]:
    patches = in_numpy(batch["feature"]).reshape(-1, CHANNELS, GRID**2)[good]
    rows = np.concatenate([patch.T for patch in patches])
    return rows.mean(axis=0), rows.std(axis=0, ddof=1)


def test_channels_are_scaled_by_the_good_rows_of_the_first_batch_and_then_left_alone() -> None:
    model = patch_flow()
    batch = batch_of(model, [1.0, -1.0, 2.0, -0.5, 0.5])
    batch["feature"] = 4 + 3 * batch["feature"]
    batch["feature"][[1, 3]] *= 10
    model.training_step(batch, 0)
    centre, scale = expected_start(batch, [0, 2, 4])
    np.testing.assert_allclose(in_numpy(model.centre), centre, rtol=1e-5)
    np.testing.assert_allclose(in_numpy(model.scale), scale, rtol=1e-5)
    later = batch_of(model, [1.0] * 4, seed=2)
    for use in (lambda: training_loss(model, later), lambda: model.validation_loss(later), lambda: model.score(later)):
        use()
        np.testing.assert_allclose(in_numpy(model.centre), centre, rtol=1e-5)
        np.testing.assert_allclose(in_numpy(model.scale), scale, rtol=1e-5)
    other = patch_flow(seed=5)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other.score(later), model.score(later), rtol=0, atol=0)


def test_a_batch_of_known_bad_rows_waits_with_the_start_and_gives_a_finite_loss() -> None:
    model = patch_flow()
    batch = batch_of(model, [-1.0] * 4)
    loss = model.training_step(batch, 0)
    loss.backward()
    top = tops(patch_nll(model, batch))
    assert float(loss.detach()) == pytest.approx(np.mean([max(0.0, model.margin - value) for value in top]), rel=1e-5)
    assert not model.centre.any() and not model.started
    assert all(torch.isfinite(p.grad).all() for p in model.flow.parameters() if p.grad is not None)
    good = batch_of(model, [1.0] * 3, seed=2)
    model.training_step(good, 1)
    np.testing.assert_allclose(in_numpy(model.centre), expected_start(good, [0, 1, 2])[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", [PatchFlow, BoundaryPatchFlow])
def test_validation_leaves_the_start_to_training(cls: Any) -> None:
    model = patch_flow(cls).eval()
    model.validation_loss(batch_of(model, [1.0] * 4))
    assert not model.centre.any() and not model.started


def test_a_constant_channel_does_not_break_the_start() -> None:
    model = patch_flow()
    batch = batch_of(model, [1.0] * 4)
    batch["feature"].view(4, CHANNELS, -1)[:, 2] = 0.0
    assert torch.isfinite(model.training_step(batch, 0))
    assert all(torch.isfinite(value).all() for value in model.score(batch).values())


def test_patch_loss_is_the_weighted_mean_and_a_hinge_on_the_top_of_known_bad_rows() -> None:
    model = patch_flow(margin=0.3)
    weight = np.array([1.0, 2.0, 0.5, -1.0, -0.5, -2.0])
    batch = batch_of(model, weight.tolist())
    model.training_step(batch, 0)
    # One defect stands out already, in one patch; the others do not, though one is odd as a whole.
    batch["feature"].view(6, CHANNELS, -1)[3, :, 5] *= 8
    nll = patch_nll(model, batch)
    top = tops(nll)
    assert top[3] > top[:3].mean() + 0.3 > max(top[4:])
    expected = hinge_loss(nll.mean(axis=1), top, weight, 0.3)
    assert training_loss(model, batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("removed", [0.1, 0.25, 0.6])
def test_the_patches_of_highest_nll_of_good_rows_teach_nothing(removed: float) -> None:
    model = patch_flow(removed=removed)
    weight = np.array([1.0, 2.0, 0.5, 1.0, -1.0])
    batch = batch_of(model, weight.tolist())
    model.training_step(batch, 0)
    batch["feature"][1] *= 20  # no patch of this row is left
    nll = patch_nll(model, batch)
    good = sorted(value for row in nll[:4] for value in row)
    place = (1 - removed) * (len(good) - 1)
    below = good[int(place)]
    limit = below + (place - int(place)) * (good[min(int(place) + 1, len(good) - 1)] - below)
    fitted = np.zeros(5)
    for row in range(5):
        kept = [value for value in nll[row] if value <= limit + 1e-6 * abs(limit)]
        fitted[row] = np.mean(kept) if kept else 0.0
    assert (fitted[1] == 0.0) == (removed >= 0.25)
    expected = hinge_loss(fitted, tops(nll), weight, model.margin)
    assert training_loss(model, batch) == pytest.approx(expected, rel=1e-5)


def test_removed_patches_have_no_gradient_and_known_bad_rows_may_be_all_there_is() -> None:
    model = patch_flow(removed=0.25)
    batch = batch_of(model, [1.0] * 4)
    model.training_step(batch, 0)
    odd = batch["feature"].view(4, CHANNELS, -1)
    odd[0, :, :8] *= 10
    odd[1, :, 4:12] *= 10
    batch["feature"].requires_grad_()
    model.training_step(batch, 0).backward()
    moved = batch["feature"].grad.view(4, CHANNELS, -1).abs().amax(dim=1) > 0  # type: ignore[union-attr]
    expected = torch.ones(4, GRID**2, dtype=torch.bool)
    expected[0, :8] = expected[1, 4:12] = False
    assert torch.equal(moved, expected)
    assert torch.isfinite(model.training_step({**batch, "weight": -torch.ones(4)}, 0))


def normal_patches(model: Any, rows: int, seed: int) -> Batch:
    """Correlated channels: good patches lie near a line."""
    draw = torch.Generator().manual_seed(seed)
    line = torch.randn(rows, 1, GRID**2, generator=draw)
    slopes = torch.tensor([1.0, -1.0, 0.5, 2.0, -2.0, 1.5]).view(1, CHANNELS, 1)
    feature = slopes * line + 0.2 * torch.randn(rows, CHANNELS, GRID**2, generator=draw)
    return {**batch_of(model, [1.0] * rows), "feature": feature.flatten(1)}


@pytest.mark.parametrize("cls", [PatchFlow, BoundaryPatchFlow])
def test_it_learns_patches_and_finds_an_odd_one_and_its_place(cls: Any) -> None:
    model = patch_flow(cls, lr=5e-3)
    train(model, normal_patches(model, 32, seed=1), 80)
    fresh = normal_patches(model, 16, seed=2)
    odd = {**fresh, "feature": fresh["feature"].clone()}
    # Each channel stays within what good patches have; only their relation is wrong.
    odd["feature"].view(16, CHANNELS, -1)[:, :, 9] = torch.tensor([1.0, 1.0, -0.5, 1.0, 1.0, -1.0])
    with torch.no_grad():
        before, after = model.predict_step(fresh), model.predict_step(odd)
        places = model.patch_scores(odd["feature"])
    for name in ("top", "max"):
        assert after[name].min() > before[name].max()
    assert places.shape == (16, GRID, GRID) and (places >= 0).all()
    assert (places.flatten(1).argmax(dim=1) == 9).all()


def test_an_anomaly_map_has_the_size_of_the_image_and_is_not_negative() -> None:
    model = patch_flow().eval()
    image = torch.rand(3, 3, SIZE, SIZE)
    with torch.inference_mode():
        found = model.anomaly_map({"image": image})
    assert found.shape == (3, SIZE, SIZE)
    assert (found >= 0).all() and found.any() and torch.isfinite(found).all()


@pytest.mark.parametrize("cls", [DeepSadFlow, TrimmedFlow, PatchFlow, BoundaryPatchFlow])
def test_only_the_flow_is_trained(cls: Any) -> None:
    model = patch_flow(cls) if issubclass(cls, PatchFlow) else flow(cls)
    learned = {id(p) for group in model.configure_optimizers().param_groups for p in group["params"]}
    assert learned == {id(p) for p in model.flow.parameters() if p.requires_grad}


# Patches, with pictures labelled defective.


def test_boundary_patch_flow_is_patch_flow_with_known_bad_rows_for_labels() -> None:
    options: dict[str, Any] = {"removed": 0.2, "margin": 0.4}
    model, plain = patch_flow(BoundaryPatchFlow, **options), patch_flow(**options)
    assert (model.learns_from, plain.learns_from) == ("labels", "good")
    weight, label = [1.0, 2.0, 1.0, -1.0, 0.5, -0.7], [0, 0, 1, 1, 1, 0]
    batch = batch_of(model, weight, label)
    signed = torch.tensor([1.0, 2.0, -1.0, -1.0, -0.5, -0.7])
    found = model.training_step(batch, 0)
    assert torch.equal(found, plain.training_step({**batch, "weight": signed}, 0))
    # The start too is by rows of observed label 0 alone.
    np.testing.assert_allclose(in_numpy(model.centre), expected_start(batch, [0, 1])[0], rtol=1e-5, atol=1e-6)
    assert torch.equal(found, model.validation_loss(batch))
    torch.testing.assert_close(model.score(batch), plain.score(batch), rtol=0, atol=0)


def test_boundary_patch_flow_without_a_known_defect_is_patch_flow() -> None:
    model, plain = patch_flow(BoundaryPatchFlow), patch_flow()
    batch = batch_of(model, [1.0, 2.0, -1.0])
    assert torch.equal(model.training_step(batch, 0), plain.training_step(batch, 0))


def test_boundary_patch_flow_pushes_defects_and_survives_a_batch_of_them_alone() -> None:
    model = patch_flow(BoundaryPatchFlow, margin=0.3, lr=3e-3)
    assert torch.isfinite(model.training_step(batch_of(model, [1.0] * 3, [1] * 3), 0))
    assert not model.started
    batch = batch_of(model, [1.0] * 12, [1] * 3 + [0] * 9)
    train(model, batch, 80)
    top = tops(patch_nll(model, batch))
    assert top[:3].mean() > top[3:].mean() + 0.2


# The suite's contract.


@pytest.mark.parametrize(
    ("cls", "own"),
    [
        (TrimmedFlow, {"trimmed": 0.2, "margin": 0.5, "train_transforms": 4}),
        (BoundaryFlow, {"margin": 0.5}),
        (PatchFlow, {"grid": 8, "blocks": 4, "hidden": 64, "margin": 0.5, "removed": 0.0, "neighbourhood": 3}),
        (BoundaryPatchFlow, {"grid": 8, "removed": 0.0, "lr": 1e-3, "weight_decay": 1e-5}),
    ],
)
def test_an_identity_holds_the_shared_arguments_and_its_own(cls: Any, own: dict[str, Any]) -> None:
    found = full_arguments(cls, {}, "a model")
    assert {key: found[key] for key in own} == own
    base = DifferNet if issubclass(cls, DifferNet) else PatchFlow
    shared = full_arguments(base, {}, "a model")
    assert {key: found[key] for key in shared} == shared


@pytest.mark.parametrize("cls", [BoundaryFlow, DeepSadFlow, TrimmedFlow, PatchFlow, BoundaryPatchFlow])
def test_the_conformance_suite_passes(cls: Any) -> None:
    patches = issubclass(cls, PatchFlow)
    own: dict[str, Any] = {"stages": [1, 2], "grid": GRID} if patches else {"stages": [2], "score_transforms": 2}
    arguments = {"backbone": "test_resnet", "weights": "none", "blocks": 2, "hidden": 16, **own}
    findings = check_model(f"{cls.__module__}:{cls.__name__}", arguments)
    assert len(findings) > 5 and all(finding.ok for finding in findings), "\n".join(map(str, findings))
