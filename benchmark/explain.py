"""Where in its pictures a classifier finds what it calls a defect: class activation maps by captum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from captum.attr import LayerGradientXActivation
from torch import Tensor, nn
from torch.nn import functional as F

from reshift.models.backbone import Backbone
from reshift.models.base import Batch, InspectionModule

CELLS = 14
"""Fewest cells a side of the maps that are explained: a 7 x 7 map of the last stage is coarser than most defects."""


def attribution_map(model: InspectionModule, batch: Batch) -> Tensor | None:
    """Evidence for a defect per pixel, in units of the headline score: non-negative, not normalised, float32.

    Gradient times activation, summed over channels, positive part (HiResCAM; Draelos and Carin, arXiv 2011.08891), in
    the deepest stage of the backbone whose maps have `CELLS` cells a side, the finest where none has so many; brought
    to the pictures' size bilinearly. As it is not normalised, the maps of one model can be compared with each other: a
    picture without evidence has an empty map. It says what moved the score, not where a defect is.

    The model is judged as it scores, in evaluation mode; its modes, parameters and gradients are left as they were.

    Args:
        model: any whose headline score can be differentiated down to a convolutional network in `model.backbone`.
        batch: as for `score`, on the model's device, but always with `image`; a frozen extractor is applied here.

    Returns:
        (B, H, W), or (B, V, H, W) for models of whole parts, zeros where a view is absent. None where there is nothing
        to explain by: no `Backbone`, one that sees the pictures at several scales, tokens instead of maps (vision
        transformers), or a score that has no gradient.
    """
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, Backbone) or len(backbone.scales) > 1:
        return None
    with _as_it_scores(model):
        # The pictures need a gradient for one to reach the maps of a frozen network.
        image = batch["image"].detach().clone().requires_grad_()
        # Copies, since autograd takes no tensor that was made in inference mode.
        score = _headline(model, {name: value.clone() for name, value in batch.items()})
        if not score(image).requires_grad:
            return None
        layer, width = _layer(backbone, min(image.shape[-2:]))
        product = LayerGradientXActivation(score, layer).attribute(image)
    if product.ndim != 4 or product.shape[1] != width:
        return None
    evidence = product.detach().float().sum(dim=1, keepdim=True).relu()
    maps = F.interpolate(evidence, size=image.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    if model.views == "one":
        return maps
    # Absent views were never computed; the others are in row-major order.
    placed = maps.new_zeros(*image.shape[:2], *maps.shape[1:])
    placed[batch["present"]] = maps
    return placed


@contextmanager
def _as_it_scores(model: InspectionModule) -> Iterator[None]:
    """Evaluation mode with gradients, whatever surrounds it; every module has its own mode again afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _headline(model: InspectionModule, batch: Batch) -> Callable[[Tensor], Tensor]:
    """The headline score of pictures, (B,), as the model gives it for `batch` with these pictures in it."""
    extractor = model.extractor()

    def score(image: Tensor) -> Tensor:
        given = {**batch, "image": image}
        if extractor is not None:
            given["feature"] = _features(extractor, image, batch)
        found = model.score(given)
        return next(iter(found.values())) if isinstance(found, dict) else found

    return score


def _features(extractor: nn.Module, image: Tensor, batch: Batch) -> Tensor:
    if image.ndim == 4:
        single: Tensor = extractor(image)
        return single
    present = batch["present"]
    features: Tensor = extractor(image[present])
    return features.new_zeros(*present.shape, features.shape[1]).index_put((present,), features)


def _layer(backbone: Backbone, side: int) -> tuple[nn.Module, int]:
    """The stage to explain by for pictures of this side, and how many channels its maps have."""
    stages = list(backbone.network.feature_info)
    if backbone.stages is not None:
        stages = stages[: max(backbone.stages) + 1]
    fine = [stage for stage in stages if stage["reduction"] * CELLS <= side]
    chosen = fine[-1] if fine else stages[0]
    return backbone.network.get_submodule(chosen["module"]), int(chosen["num_chs"])
