"""Multi-view SimCLR: who is whose positive, missing views, fusion and the two phases."""

import pytest
import torch

from reshift.losses.nt_xent import nt_xent
from reshift.models.base import Batch, TrainingInfo
from reshift.models.multiview_simclr import MultiviewSimCLR

PARTS, COPIES, VIEWS = 4, 2, 3


def simclr(**options: object) -> MultiviewSimCLR:
    torch.manual_seed(0)
    model = MultiviewSimCLR("test_resnet", "none", lr=1e-3, **options)  # type: ignore[arg-type]
    model.prepare(TrainingInfo(steps=10, class_counts=(2, 2), n_groups=1, n_views=VIEWS, size=32))
    return model


def batch() -> Batch:
    index = torch.arange(PARTS).repeat_interleave(COPIES)
    present = torch.ones(len(index), VIEWS, dtype=torch.bool)
    present[:2, 2] = False
    image = torch.rand(*present.shape, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    image[~present] = 0
    return {"image": image, "present": present, "index": index, "label": index % 2, "weight": torch.ones(len(index))}


def test_views_of_a_part_are_positives_by_default() -> None:
    model, rows = simclr().eval(), batch()
    embedding = model.projector(model.backbone(rows["image"].flatten(0, 1)))
    part = rows["index"].repeat_interleave(VIEWS)
    expected = nt_xent(embedding, part, 0.5, rows["present"].flatten())
    assert float(model.contrast(rows)) == pytest.approx(float(expected), rel=1e-5)


def test_the_control_takes_the_two_copies_of_one_image_only() -> None:
    model, rows = simclr(positives="augmentations").eval(), batch()
    embedding = model.projector(model.backbone(rows["image"].flatten(0, 1)))
    one_image = torch.tensor([[100 * int(part) + view for view in range(VIEWS)] for part in rows["index"]]).flatten()
    expected = nt_xent(embedding, one_image, 0.5, rows["present"].flatten())
    assert float(model.contrast(rows)) == pytest.approx(float(expected), rel=1e-5)


def test_fusion_is_the_mean_over_present_views() -> None:
    model, rows = simclr().eval(), batch()
    features = model.backbone(rows["image"].flatten(0, 1)).unflatten(0, (-1, VIEWS))
    means = torch.stack([row[seen].mean(dim=0) for row, seen in zip(features, rows["present"], strict=True)])
    torch.testing.assert_close(model.logits(rows), model.head(means), rtol=1e-4, atol=1e-5)


def test_first_it_contrasts_then_it_classifies() -> None:
    model, rows = simclr(pretrain_share=0.3).train(), batch()
    assert model.select_after == 0.3
    optimizer = model.configure_optimizers()["optimizer"]
    trained = []
    for step in range(6):
        loss = model.training_step(rows, 0)
        optimizer.zero_grad()
        loss.backward()
        trained.append((model.projector[0].weight.grad is not None, model.head.weight.grad is not None))
        optimizer.step()
        if step == 3:
            # A second Trainer run, or another process, goes on in the phase where the first one stopped.
            state = model.state_dict()
            model = simclr(pretrain_share=0.3).train()
            model.load_state_dict(state)
            optimizer = model.configure_optimizers()["optimizer"]
    assert trained == [(True, False)] * 3 + [(False, True)] * 3


def test_pretraining_lowers_its_loss() -> None:
    model, rows = simclr(pretrain_share=0.99).train(), batch()
    optimizer = model.configure_optimizers()["optimizer"]
    losses = []
    for _ in range(9):
        loss = model.training_step(rows, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-3:]) < sum(losses[:3])


def test_a_part_without_any_view_still_gets_a_finite_score() -> None:
    model, rows = simclr().eval(), batch()
    rows["present"][0] = False
    assert torch.isfinite(model.score(rows)["logit"]).all()


@pytest.mark.parametrize(("option", "value"), [("pretrain_share", 1.0), ("positives", "colours")])
def test_wrong_options_are_errors(option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{option}.*{value}"):
        simclr(**{option: value})
