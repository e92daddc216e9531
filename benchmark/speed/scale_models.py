"""Measures the unit costs of the study's models on random pictures of its size; costs do not depend on pixels."""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from reshift.benchmark.catalog import build, find_class, full_arguments
from reshift.benchmark.cell_data import extractor_key
from reshift.benchmark.preset import ModelSpec, Preset
from reshift.benchmark.seeding import seed_everything
from reshift.benchmark.speed.scale_study import VIEWS
from reshift.benchmark.speed.scale_work import ModelUnits, Work, work_of
from reshift.benchmark.world import MODELS
from reshift.datamodules.feature_cache import FrozenFeatures
from reshift.models.base import Batch, InspectionModule, TrainingInfo
from reshift.models.coreset import greedy_k_center, projected
from reshift.models.patchcore import PatchCore

SAMPLES, MEASURED_VIEWS = 2, 2
FIT_NUMBERS = 2**21
"""Numbers in the features that a closed form is fitted to."""

BANK, CORESET_POINTS, CORESET_PASSES = 2**14, 2**17, 8


def measure_model(spec: ModelSpec, preset: Preset) -> ModelUnits:
    """Build the model as a cell does and measure its parts: on whole batches of features, on two samples of images."""
    cls = find_class(spec.use, MODELS, InspectionModule)
    seed_everything(0)  # equal networks then have equal weights, by which features are named
    model = build(cls, full_arguments(cls, spec.args, f"model {spec.use}"))
    model.prepare(TrainingInfo(preset.steps, (SAMPLES, SAMPLES), 1, MEASURED_VIEWS, preset.size))
    views = VIEWS if model.views == "all" else 1
    gradient = model.trained_by == "gradient"
    units = ModelUnits(
        model=spec.name or spec.use,
        trained_by=model.trained_by,
        good=model.learns_from == "good",
        select_after=model.select_after,
        row_images=views,
        step_images=(spec.batch_size or preset.batch_size) * views * model.train_copies if gradient else 0,
    )
    extractor = model.extractor()
    if extractor is not None:
        units = _extraction(units, model, extractor, preset.size)
    if isinstance(model, PatchCore):
        units = _patchcore(units, model)
    elif model.trained_by == "fit":
        units = replace(units, fit=_fit(model, units.width))
    if gradient:
        units = _training(units, model, preset)
    samples = max(SAMPLES, preset.batch_size // model.score_copies) if units.width else SAMPLES
    batch = _batch(model, samples * model.score_copies, preset.size, units.width)
    model.eval()
    with torch.no_grad():
        score = work_of(lambda: model.predict_step(batch))
    return replace(units, score=score * (model.score_copies / _images(batch)))


def _extraction(units: ModelUnits, model: InspectionModule, extractor: nn.Module, size: int) -> ModelUnits:
    pictures = torch.rand(SAMPLES, 3, size, size)
    with torch.inference_mode():
        width = int(extractor.eval()(pictures).shape[1])
        extract = work_of(lambda: extractor(pictures))
    kept = (FrozenFeatures.train_copies_kept,) if model.augmentation(size) is not None else ()
    scored = (model.score_copies,) if model.score_augmentation(size) is not None else ()
    key = extractor_key(extractor)[-12:]
    return replace(units, features=key, width=width, copies=(1, *kept, *scored), extract=extract * (1 / SAMPLES))


def _training(units: ModelUnits, model: InspectionModule, preset: Preset) -> ModelUnits:
    samples = preset.batch_size if units.width else SAMPLES
    batch = _batch(model, samples * model.train_copies, preset.size, units.width)
    plain = _batch(model, samples, preset.size, units.width)
    configured = model.configure_optimizers()
    optimizer = configured["optimizer"] if isinstance(configured, dict) else configured
    assert isinstance(optimizer, Optimizer)

    def gradients() -> None:
        optimizer.zero_grad()
        loss = model.training_step(batch, 0)
        assert isinstance(loss, Tensor)
        loss.backward()  # type: ignore[no-untyped-call]

    model.train()
    step, update = work_of(gradients), work_of(optimizer.step)
    model.eval()
    with torch.no_grad():
        watch = work_of(lambda: model.validation_loss(plain))
    return replace(units, step=step * (1 / _images(batch)), update=update, watch=watch * (1 / _images(plain)))


def _patchcore(units: ModelUnits, model: PatchCore) -> ModelUnits:
    width = model.backbone.channels
    model.bank.patches, model.bank.weights = torch.randn(BANK, width), torch.ones(BANK)
    points = projected(torch.randn(CORESET_POINTS, width))
    # The difference of two choices leaves out what is done once.
    few = work_of(lambda: greedy_k_center(points, 1))
    many = work_of(lambda: greedy_k_center(points, 1 + CORESET_PASSES))
    fit = (many + few * -1) * (1 / CORESET_PASSES / CORESET_POINTS)
    return replace(units, fit=fit, bank=BANK, patches=model.backbone.grid**2, share=model.bank.share)


def _fit(model: InspectionModule, width: int) -> Work:
    rows = FIT_NUMBERS // width
    feature = torch.randn(rows, width)
    # Labels that the features half explain: without any relation a logistic fit would be another problem.
    label = (feature[:, 0] + torch.randn(rows) > 0).long() * (model.learns_from == "labels")
    batch: Batch = {"feature": feature, "label": label, "weight": torch.ones(rows)}
    loader: DataLoader[Batch] = DataLoader([batch], batch_size=None)  # type: ignore[arg-type]
    began = time.perf_counter()
    model.fit(loader)
    return Work(0.0, (time.perf_counter() - began) / rows)


def _batch(model: InspectionModule, rows: int, size: int, width: int) -> Batch:
    """Random features, pictures or parts, with labels as training has them."""
    batch: Batch = {
        "index": torch.arange(rows),
        "label": torch.arange(rows) % 2 * (model.learns_from == "labels"),
        "weight": torch.ones(rows),
        "group": torch.zeros(rows, dtype=torch.int64),
    }
    if width:
        return {**batch, "feature": torch.randn(rows, width)}
    if model.views == "one":
        return {**batch, "image": torch.rand(rows, 3, size, size)}
    present = torch.ones(rows, MEASURED_VIEWS, dtype=torch.bool)
    return {**batch, "image": torch.rand(rows, MEASURED_VIEWS, 3, size, size), "present": present}


def _images(batch: Batch) -> int:
    return batch["present"].numel() if "present" in batch else len(batch["index"])
