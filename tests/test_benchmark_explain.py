"""Maps of classifiers: where they point, what they add up to, and that nothing of the model is touched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from reshift.benchmark.explain import attribution_map
from reshift.models.base import Batch, InspectionModule, TrainingInfo
from reshift.models.classifier import Classifier
from reshift.models.floors import SizeBrightness
from reshift.models.frozen_probes import Gaussian, LogisticProbe
from reshift.models.multiview_classifier import MultiviewClassifier
from reshift.models.multiview_simclr import MultiviewSimCLR

SIDE = 64
STEPS = 60


def dotted(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Dark noise (n, 3, SIDE, SIDE), every second picture with a bright 5 x 5 dot: labels, and (row, column) of it."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(n, 3, SIDE, SIDE, generator=generator) * 0.3
    label = torch.arange(n) % 2
    centre = torch.randint(6, SIDE - 6, (n, 2), generator=generator)
    for i in label.nonzero().flatten().tolist():
        row, column = centre[i].tolist()
        image[i, :, row - 2 : row + 3, column - 2 : column + 3] = 1
    return image, label, centre


@pytest.fixture(scope="module")
def learned() -> Classifier:
    """A classifier that knows the dot, in evaluation mode; no test changes it."""
    torch.manual_seed(0)
    model = Classifier("test_efficientnet", "none", lr=3e-3)
    model.prepare(TrainingInfo(STEPS, (1, 1), 1, 1, SIDE))
    optimizer = model.configure_optimizers()["optimizer"]
    image, label, _ = dotted(16 * 16, seed=1)
    for step in range(STEPS):
        rows = torch.arange(16) + 16 * (step % 16)
        batch = {"image": image[rows], "label": label[rows], "weight": torch.ones(16), "index": rows}
        loss = model.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.zero_grad()
    return model.eval()  # type: ignore[return-value]


def found(model: InspectionModule, batch: Batch) -> Tensor:
    maps = attribution_map(model, batch)
    assert maps is not None
    return maps


def test_the_maximum_lies_at_the_dot(learned: Classifier) -> None:
    image, label, centre = dotted(64, seed=2)
    maps = found(learned, {"image": image[label == 1]})
    assert maps.shape == (32, SIDE, SIDE) and maps.dtype == torch.float32 and float(maps.min()) >= 0
    place = maps.flatten(1).argmax(dim=1)
    distance = (torch.stack([place // SIDE, place % SIDE], dim=1) - centre[label == 1]).abs().amax(dim=1)
    # A place drawn at random would be as near in 17 * 17 / 64^2 = 7 % of the pictures at most.
    assert float((distance <= 8).float().mean()) > 0.85


def test_pictures_with_the_dot_have_more_evidence_than_those_without(learned: Classifier) -> None:
    image, label, _ = dotted(64, seed=3)
    peak = found(learned, {"image": image}).amax(dim=(1, 2))
    assert float(peak[label == 1].median()) > 3 * float(peak[label == 0].median())


def test_it_is_gradient_times_activation_of_the_deepest_stage_with_enough_cells(learned: Classifier) -> None:
    """By hand, on the network's stages one after the other: 64 pixels at stride 4 are 16 cells, at stride 8 only 8."""
    image = dotted(4, seed=4)[0]
    network, backbone = learned.backbone.network, learned.backbone
    inner = network.bn1(network.conv_stem((image - backbone.mean) / backbone.std))
    inner = network.blocks[1](network.blocks[0](inner)).detach().requires_grad_()
    outer = inner
    for block in network.blocks[2:]:
        outer = block(outer)
    good, defective = learned.head(network.forward_head(network.bn2(network.conv_head(outer)))).unbind(dim=1)
    (gradient,) = torch.autograd.grad((defective - good).sum(), inner)
    cells = (gradient * inner).sum(dim=1, keepdim=True).clamp(min=0).detach()
    assert cells.shape[-1] == 16
    expected = nn.Upsample(scale_factor=4, mode="bilinear")(cells)[:, 0]
    torch.testing.assert_close(found(learned, {"image": image}), expected)


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_is_deterministic_under_any_gradient_mode_and_whatever_else_is_in_the_batch(
    learned: Classifier, around: Callable[[], torch.no_grad]
) -> None:
    image = dotted(6, seed=5)[0]
    expected = found(learned, {"image": image})
    with around():
        torch.testing.assert_close(found(learned, {"image": image.clone()}), expected, rtol=0, atol=0)
        torch.testing.assert_close(found(learned, {"image": image[:2].clone()}), expected[:2])


def test_modes_parameters_gradients_and_pictures_are_left_alone(learned: Classifier) -> None:
    model = learned.train()
    try:
        model.backbone.network.blocks[0].eval()
        next(model.parameters()).grad = torch.ones_like(next(model.parameters()))
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        modes = [module.training for module in model.modules()]
        image = dotted(4, seed=6)[0]
        kept = image.clone()
        in_training = found(model, {"image": image})
        assert [module.training for module in model.modules()] == modes
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
        gradients = [parameter.grad for parameter in model.parameters()]
        assert gradients[0] is not None and bool((gradients[0] == 1).all()) and gradients[1:].count(None) > 0
        assert all(gradient is None or bool((gradient == 0).all()) for gradient in gradients[1:])
        assert torch.equal(image, kept) and not image.requires_grad and image.grad is None
        assert not any(module._forward_hooks for module in model.modules())
    finally:
        model.zero_grad()
        model.eval()
    assert torch.equal(found(model, {"image": image}), in_training)


@pytest.mark.parametrize("kind", [MultiviewClassifier, MultiviewSimCLR])
def test_parts_have_a_map_for_every_view_and_none_where_a_view_is_absent(kind: type[InspectionModule]) -> None:
    torch.manual_seed(0)
    model = kind(backbone="test_efficientnet", weights="none").eval()  # type: ignore[call-arg]
    present = torch.tensor([[True, True], [False, True]])
    image = torch.rand(2, 2, 3, SIDE, SIDE) * present[:, :, None, None, None]
    maps = found(model, {"image": image, "present": present})
    assert maps.shape == (2, 2, SIDE, SIDE)
    assert not maps[1, 0].any() and all(bool(view.any()) for view in maps[present])
    # A part with one view is that view on its own.
    alone = found(model, {"image": image[1:, 1:], "present": present[1:, 1:]})
    torch.testing.assert_close(alone[0, 0], maps[1, 1])
    with torch.inference_mode():
        assert torch.equal(found(model, {"image": image.clone(), "present": present.clone()}), maps)


def test_a_frozen_network_in_front_of_a_closed_form_is_seen_through() -> None:
    torch.manual_seed(0)
    frozen = {"backbone": "test_efficientnet", "weights": "none", "stages": [2]}
    image = torch.rand(2, 3, SIDE, SIDE)
    for model in (LogisticProbe(scales=[1.0], **frozen), Gaussian(scales=[1.0], **frozen)):  # type: ignore[arg-type]
        for slope in ("slope", "centre"):
            for name, buffer in model.named_buffers():
                if name.endswith(slope):
                    buffer.normal_()
        maps = found(model, {"image": image})
        assert maps.shape == (2, SIDE, SIDE) and bool(maps.any())


def test_models_without_one_convolutional_network_have_no_map() -> None:
    class Unlearned(Classifier):
        """Scores without a gradient."""

        def score(self, batch: Batch) -> dict[str, Tensor]:
            with torch.no_grad():
                return super().score(batch)

    image = torch.rand(2, 3, SIDE, SIDE)
    batch = {"image": image, "extent": torch.full((2, 2), float(SIDE)), "index": torch.arange(2)}
    models: list[InspectionModule] = [
        SizeBrightness(),
        Classifier("test_vit", "none"),
        LogisticProbe("test_efficientnet", "none", stages=[2], scales=[1.0, 0.5]),
        Unlearned("test_resnet", "none"),
    ]
    for model in models:
        assert attribution_map(model, batch) is None, type(model).__name__
