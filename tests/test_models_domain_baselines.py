"""Group DRO, CORAL, mixup and SupCon: each method's own term acts, and validation stays plain cross-entropy."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from reshift.losses.coral import coral
from reshift.losses.weighted_cross_entropy import weighted_cross_entropy
from reshift.models.base import Batch, TrainingInfo
from reshift.models.classifier import Classifier
from reshift.models.coral import Coral
from reshift.models.group_dro import GroupDRO
from reshift.models.mixup import Mixup
from reshift.models.supcon import SupCon

ROWS = 8


def batch(copies: int = 1) -> Batch:
    index = torch.arange(ROWS).repeat_interleave(copies)
    image = torch.rand(len(index), 3, 32, 32, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0, 0, 1, 0, 1, 0, 1, 0])[index]
    group = torch.tensor([0, 0, 0, 0, 0, 2, 2, 2])[index]
    return {"image": image, "label": label, "weight": torch.ones(len(index)), "group": group, "index": index}


def build(model: type[Classifier], n_groups: int = 3, steps: int = 10, **options: Any) -> Classifier:
    torch.manual_seed(0)
    built = model(backbone="test_resnet", weights="none", lr=3e-3, **options)
    built.prepare(TrainingInfo(steps, class_counts=(5, 3), n_groups=n_groups, n_views=1, size=32))
    return built


def train(model: Classifier, rows: Batch, steps: int) -> list[float]:
    optimizer = model.configure_optimizers()["optimizer"]  # type: ignore[index, call-overload]
    losses = []
    model.train()
    for step in range(steps):
        loss = model.training_step(rows, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("model", [GroupDRO, Coral, Mixup, SupCon])
def test_validation_is_plain_cross_entropy_on_observed_labels(model: type[Classifier]) -> None:
    built = build(model).eval()
    rows = {**batch(), "group": torch.full((ROWS,), -1)}
    expected = F.cross_entropy(built.head(built.backbone(rows["image"])), rows["label"])
    assert float(built.validation_loss(rows)) == pytest.approx(float(expected), rel=1e-5)


# Group DRO


def test_dro_weights_move_towards_the_group_that_does_worse() -> None:
    model, rows = build(GroupDRO, step_size=0.5), batch()
    # All are called good, so the group with more defective rows (2 of 3, against 2 of 5) does worse.
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([1.0, -1.0]))
    rows["label"][5] = 1
    means = [
        float(F.cross_entropy(model.head(model.embed(rows))[rows["group"] == g], rows["label"][rows["group"] == g]))
        for g in (0, 2)
    ]
    loss = model.training_step(rows, 0)
    grown = [math.exp(0.5 * means[0]), 1.0, math.exp(0.5 * means[1])]
    weight = [value / sum(grown) for value in grown]
    assert means[1] > means[0]
    assert model.group_weight.tolist() == pytest.approx(weight, rel=1e-5)
    assert float(loss) == pytest.approx(weight[0] * means[0] + weight[2] * means[1], rel=1e-5)
    model.training_step(rows, 1)
    assert model.group_weight[2] > weight[2]


def test_dro_with_a_single_group_is_the_classifier() -> None:
    rows = {**batch(), "group": torch.zeros(ROWS, dtype=torch.int64)}
    rows["weight"] = torch.tensor([1.0, 2, 0.5, 1, -1, 1, 1, 3])
    plain, robust = (train(build(m, n_groups=1), rows, 4) for m in (Classifier, GroupDRO))
    assert robust == pytest.approx(plain, rel=1e-6)


def test_dro_leaves_rows_without_a_group_out() -> None:
    rows = batch()
    rows["group"][[1, 6]] = -1
    kept = {key: value[rows["group"] >= 0] for key, value in rows.items()}
    # Without batch norm's training statistics, through which any row reaches all others.
    found, expected = (build(GroupDRO).eval().training_step(these, 0) for these in (rows, kept))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match=r"batch\['group'\] is -1 throughout"):
        build(GroupDRO).training_step({**rows, "group": torch.full((ROWS,), -1)}, 0)


def test_dro_weights_travel_in_the_state_dict() -> None:
    model, rows = build(GroupDRO, step_size=0.5), batch()
    train(model, rows, 2)
    other = build(GroupDRO, step_size=0.5)
    other.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(other.group_weight, model.group_weight)
    assert float(other.train().training_step(rows, 0)) == float(model.train().training_step(rows, 0))
    # A state from before the first batch, as a shared prefix of no steps would be, has no weights yet.
    other.load_state_dict(build(GroupDRO).state_dict(), strict=True)
    assert len(other.group_weight) == 0


# CORAL


def test_coral_adds_its_penalty_between_groups() -> None:
    model, rows = build(Coral, gamma=0.3).eval(), batch()
    embedding = model.embed(rows)
    expected = F.cross_entropy(model.head(embedding), rows["label"]) + 0.3 * coral(embedding, rows["group"])
    assert float(model.training_step(rows, 0)) == pytest.approx(float(expected), rel=1e-5)


def test_coral_costs_nothing_between_groups_alike() -> None:
    model, rows = build(Coral).eval(), batch()
    rows["group"] = torch.arange(2).repeat_interleave(4)

    def penalty() -> float:
        return float((model.training_step(rows, 0) - model.validation_loss(rows)).detach())

    apart = penalty()
    rows["image"], rows["label"] = rows["image"][:4].repeat(2, 1, 1, 1), rows["label"][:4].repeat(2)
    assert abs(penalty()) < 0.01 * apart


def test_coral_training_draws_the_groups_together() -> None:
    rows = batch()
    rows["group"] = torch.arange(2).repeat_interleave(4)
    rows["image"][4:] *= 0.3
    apart = []
    for gamma in (0.0, 10.0):
        model = build(Coral, gamma=gamma)
        train(model, rows, 8)
        apart.append(float(coral(model.embed(rows), rows["group"]).detach()))
    assert apart[1] < 0.5 * apart[0]


# Mixup


def test_mixup_with_a_share_of_one_is_the_classifier() -> None:
    rows = batch()
    mixed = build(Mixup).mixed_loss(rows, 1.0, torch.arange(ROWS).flip(0))
    assert float(mixed) == pytest.approx(float(build(Classifier).training_step(rows, 0)), rel=1e-6)


def test_mixup_mixes_images_and_labels_with_the_weights_of_their_rows() -> None:
    model, rows = build(Mixup).eval(), batch()
    rows["weight"] = torch.tensor([1.0, 2, 0.5, 1, -1, 1, 1, 3])
    partner = torch.tensor([3, 0, 1, 2, 7, 6, 5, 4])
    logits = model.head(model.backbone(0.3 * rows["image"] + 0.7 * rows["image"][partner]))
    target = torch.where(rows["weight"] < 0, 1, rows["label"])
    expected = 0.0
    for row in range(ROWS):
        for share, origin in ((0.3, row), (0.7, int(partner[row]))):
            cost = float(F.cross_entropy(logits[row], target[origin]))
            expected += share * float(rows["weight"][origin].abs()) * cost / float(rows["weight"].abs().sum())
    assert float(model.mixed_loss(rows, 0.3, partner)) == pytest.approx(expected, rel=1e-5)


def test_mixup_draws_from_the_seeded_generator_only() -> None:
    def losses(seed: int) -> list[float]:
        model = build(Mixup, alpha=1.0).eval()
        torch.manual_seed(seed)
        return [float(model.training_step(batch(), step)) for step in range(3)]

    assert losses(1) == losses(1) != losses(2)
    assert len(set(losses(1))) == 3


class SharesOnly(Mixup):
    """Mixup that notes the shares it draws and computes nothing."""

    def mixed_loss(self, batch: Batch, share: float, partner: torch.Tensor) -> torch.Tensor:
        assert sorted(partner.tolist()) == list(range(ROWS))
        return torch.tensor(share)


def test_mixup_draws_partners_by_permutation_and_shares_from_the_asked_beta() -> None:
    model, rows = build(SharesOnly), batch()
    drawn = torch.stack([model.training_step(rows, step) for step in range(500)])
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)) = .179 for a = .2.
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.06)
    assert float(drawn.var()) == pytest.approx(1 / 5.6, abs=0.03)


# SupCon


def contrast_loop(projection: torch.Tensor, label: torch.Tensor, temperature: float) -> float:
    """Eq. 2 of Khosla et al., term by term, as a mean over anchors."""
    direction = projection.double() / projection.double().norm(dim=1, keepdim=True)
    terms = []
    for i in range(len(label)):
        others = [a for a in range(len(label)) if a != i]
        whole = sum(math.exp(float(direction[i] @ direction[a]) / temperature) for a in others)
        positives = [p for p in others if label[p] == label[i]]
        logs = [float(direction[i] @ direction[p]) / temperature - math.log(whole) for p in positives]
        terms.append(-sum(logs) / len(logs))
    return sum(terms) / len(terms)


def test_supcon_contrasts_the_classes_over_both_copies() -> None:
    model, rows = build(SupCon).eval(), batch(copies=2)
    rows["weight"][2:4] = -1
    label = rows["label"].clone()
    label[2:4] = 1
    expected = contrast_loop(model.projector(model.backbone(rows["image"])).detach(), label, 0.1)
    assert float(model.contrast(rows)) == pytest.approx(expected, rel=1e-4)


def test_supcon_first_contrasts_then_trains_the_head_alone() -> None:
    model, rows = build(SupCon, pretrain_share=0.3).train(), batch(copies=2)
    assert model.select_after == 0.3
    optimizer = model.configure_optimizers()["optimizer"]
    trained = []
    for step in range(6):
        if step == 4:
            # A second Trainer run, or another process, goes on in the stage where the first one stopped.
            state = model.state_dict()
            model = build(SupCon, pretrain_share=0.3).train()
            model.load_state_dict(state)
            optimizer = model.configure_optimizers()["optimizer"]
        before = {key: value.clone() for key, value in model.state_dict().items()}
        loss = model.training_step(rows, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.train()
        moved = {key.split(".")[0] for key, value in model.state_dict().items() if not torch.equal(before[key], value)}
        trained.append(moved - {"steps_done"})
    assert trained == [{"backbone", "projector"}] * 3 + [{"head"}] * 3


def test_supcon_both_stages_learn() -> None:
    model, rows = build(SupCon, steps=40), batch(copies=2)
    losses = train(model, rows, 40)
    first, second = losses[:20], losses[20:]
    assert sum(first[-3:]) < sum(first[:3])
    assert sum(second[-3:]) < sum(second[:3])


def test_supcon_counts_known_bad_rows_as_defective_in_its_head() -> None:
    model, rows = build(SupCon, pretrain_share=0.0).eval(), batch(copies=2)
    rows["weight"][:2] = -1
    expected = weighted_cross_entropy(model.head(model.embed(rows)), rows["label"], rows["weight"])
    assert float(model.training_step(rows, 0)) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("model", "option", "value", "named"),
    [
        (SupCon, "pretrain_share", 1.0, "pretrain_share is 1.0"),
        (SupCon, "temperature", 0.0, "temperature of supcon is 0.0"),
        (Mixup, "alpha", 0.0, "alpha of mixup is 0.0"),
    ],
)
def test_wrong_options_are_errors(model: type[Classifier], option: str, value: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        build(model, **{option: value})
