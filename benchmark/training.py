"""Trains a model by gradient in phases that continue each other, and keeps its best state on validation."""

from __future__ import annotations

import atexit
import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from reshift.benchmark.cell_log import warnings_aside
from reshift.benchmark.preset import Precision
from reshift.models.base import Batch, InspectionModule

_log = logging.getLogger(__name__)

Loader = DataLoader[Batch]
_LIGHTNING: dict[Precision, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}


class TrainingFailure(RuntimeError):
    """Training cannot go on; one line with the step and the remedy."""


@dataclass
class Progress:
    """Where training stands; `snapshot` copies make shared prefixes possible.

    Attributes:
        done: optimiser steps so far.
        losses: (step, validation loss) of every check.
        best: trained tensors at the lowest validation loss after `select_from` steps.
        optimizers, schedulers: states to go on from.
    """

    done: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    best_step: int | None = None
    best_loss: float = float("inf")
    best: dict[str, Tensor] = field(default_factory=dict)
    optimizers: list[dict[str, Any]] = field(default_factory=list)
    schedulers: list[dict[str, Any]] = field(default_factory=list)


class PhasedTraining:
    """Runs phases of one budget; each goes on with weights, optimiser and schedule where the last one stopped.

    Args:
        model: prepared (`InspectionModule.prepare`) and on any device.
        judge: how bad the model is as it stands, lower is better; None to keep the last state.
        every: steps between two looks at validation.
        select_from: steps before which validation is not looked at.
        seed: of dropout and whatever else draws from torch's generator while training.
        precision: "bf16" runs training steps under autocast; the judge and whoever scores see fp32.
        compiled: training steps go through torch.compile; the judge and whoever scores call the model as it is.
        after_step: called after every step.
    """

    def __init__(
        self,
        model: InspectionModule,
        judge: Callable[[InspectionModule], float] | None,
        *,
        every: int,
        select_from: int,
        seed: int,
        device: torch.device,
        precision: Precision = "fp32",
        compiled: bool = False,
        after_step: Callable[[], None] | None = None,
    ) -> None:
        if device.type == "cuda":
            # The layout that tensor cores convolve in; on a CPU it would only change the rounding.
            model = model.to(memory_format=torch.channels_last)
        self.model = model
        self.judge = judge
        self.every = every
        self.select_from = select_from
        self.seed = seed
        self.device = device
        self.precision = precision
        self.after_step = after_step
        self.progress = Progress()
        self._frozen = _frozen_keys(model)
        # Once for all phases; nothing is compiled before the first step.
        self._step: Callable[..., Any] | None = torch.compile(model.training_step) if compiled else None

    def run(self, loader: Loader, steps: int) -> None:
        """Train on for `steps` batches of `loader`.

        Raises:
            TrainingFailure: a loss that is not finite.
        """
        # Each phase draws from a generator of its own, so that a restored prefix and a trained one go on alike.
        torch.manual_seed(self.seed * 1_000_003 + self.progress.done)
        # Rows may have been scored since the last phase; Lightning leaves the mode as it finds it.
        self.model.train()
        reached = self._fit(loader, steps)
        _free_trainer()
        if reached != steps:
            raise TrainingFailure(f"asked for {steps} steps, the loader gave {reached}")

    def _fit(self, loader: Loader, steps: int) -> int:
        """Let a Trainer of this phase's own make the steps; how many it made."""
        _quiet()
        with warnings_aside():
            # What Lightning calls unexpected is meant: validation is looked at by steps, frozen networks stay frozen.
            warnings.filterwarnings("ignore", message="You defined a `validation_step`")
            warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")
            trainer = Trainer(
                accelerator="gpu" if self.device.type == "cuda" else "cpu",
                devices=1,
                precision=_LIGHTNING[self.precision],
                max_steps=steps,
                max_epochs=-1,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
                limit_val_batches=0,
                callbacks=[_Phase(self)],
            )
            with self._compiled_step():
                trainer.fit(self.model, train_dataloaders=loader)
        self.model.trainer = None
        return trainer.global_step

    @contextmanager
    def _compiled_step(self) -> Iterator[None]:
        """The model makes compiled steps, where that is asked for, and is as it was afterwards."""
        if self._step is None:
            yield
            return
        self.model.training_step = self._step  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self.model.training_step  # the class's own shows again

    def keep_best(self) -> None:
        """Put the state with the lowest validation loss back; the last one where nothing was selected."""
        if self.progress.best:
            self.model.load_state_dict(self.progress.best, strict=False)

    def snapshot(self) -> tuple[dict[str, Tensor], Progress]:
        """A copy of trained tensors and progress, for another model of the same build to go on from."""
        return self._trained(), deepcopy(self.progress)

    def restore(self, snapshot: tuple[dict[str, Tensor], Progress]) -> None:
        """Go on from a `snapshot`."""
        state, progress = snapshot
        self.model.load_state_dict(state, strict=False)
        self.progress = deepcopy(progress)

    def check(self) -> None:
        """Look at validation and remember the state if it is the best so far."""
        if self.judge is None or self.progress.done <= self.select_from:
            return
        loss = self.judge(self.model)
        step = self.progress.done
        if not loss < float("inf"):
            raise TrainingFailure(f"validation loss is {loss} at step {step}; lower the learning rate")
        self.progress.losses.append((step, loss))
        _log.info("step %d: validation loss %.5g%s", step, loss, ", the best" if loss < self.progress.best_loss else "")
        if loss < self.progress.best_loss:
            self.progress.best_loss, self.progress.best_step = loss, step
            self.progress.best = self._trained()

    def _trained(self) -> dict[str, Tensor]:
        state = self.model.state_dict()
        return {key: value.detach().cpu().clone() for key, value in state.items() if key not in self._frozen}


class _Phase(Callback):
    """Carries the optimiser over, counts steps and stops at a loss that is not finite."""

    def __init__(self, training: PhasedTraining) -> None:
        self.training = training

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        progress = self.training.progress
        for optimizer, state in zip(trainer.optimizers, progress.optimizers, strict=False):
            optimizer.load_state_dict(state)
        for config, state in zip(trainer.lr_scheduler_configs, progress.schedulers, strict=False):
            config.scheduler.load_state_dict(state)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        progress = self.training.progress
        progress.done += 1
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if loss is not None and not torch.isfinite(loss):
            raise TrainingFailure(f"training loss is {float(loss)} at step {progress.done}; lower the learning rate")
        if progress.done % self.training.every == 0:
            self.training.check()
        if self.training.after_step is not None:
            self.training.after_step()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        progress = self.training.progress
        progress.optimizers = [deepcopy(o.state_dict()) for o in trainer.optimizers]
        progress.schedulers = [deepcopy(c.scheduler.state_dict()) for c in trainer.lr_scheduler_configs]


def mean_validation_loss(model: InspectionModule, loader: Loader, device: torch.device) -> float:
    """Validation loss averaged over rows; the model is put back into the mode it was in."""
    training = model.training
    total, rows = 0.0, 0
    model.eval()
    with torch.no_grad():
        for batch in loader:
            n = len(batch["index"])
            total += float(model.validation_loss(to_device(batch, device))) * n
            rows += n
    model.train(training)
    return total / rows


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with every tensor on `device`."""
    return {key: value.to(device, non_blocking=True) for key, value in batch.items()}


def _frozen_keys(model: InspectionModule) -> set[str]:
    extractor = model.extractor()
    if extractor is None:
        return set()
    frozen = {id(t) for t in (*extractor.parameters(), *extractor.buffers())}
    named = (*model.named_parameters(), *model.named_buffers())
    return {name for name, tensor in named if id(tensor) in frozen}


@cache
def _set_aside_what_is_loaded() -> None:
    """Let the garbage collector skip the half million objects of the libraries: it then takes 1 ms, not 300."""
    gc.collect()
    gc.freeze()
    # Native libraries call leaked what is still set aside when the process ends.
    atexit.register(gc.unfreeze)


def _free_trainer() -> None:
    """Free the last phase's Trainer, gradients and optimiser now.

    They refer to each other in circles, which Python itself looks for only every few cells: until then each leaves
    300 MiB of a ResNet-18 behind.
    """
    _set_aside_what_is_loaded()
    gc.collect()


def _quiet() -> None:
    """Keep what Lightning says of a Trainer off stderr; its warnings remain for whoever else listens."""
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setLevel(logging.ERROR)
