"""Fits one cell's model, by gradient or in closed form, as the callables that refinement asks for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reshift.benchmark.preset import Precision
from reshift.benchmark.scoring import score_rows
from reshift.benchmark.training import PhasedTraining, Progress, mean_validation_loss
from reshift.datamodules.inspection_data import InspectionData
from reshift.models.base import InspectionModule, TrainingInfo

_log = logging.getLogger(__name__)

Snapshot = tuple[dict[str, Tensor], Progress]


class PrefixMemory:
    """The first phase of training, kept for fits that differ in nothing but what they refine afterwards."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None


class Fitting:
    """A model on its way from untrained to scored.

    Args:
        new_model: builds the untrained model, the same one each time.
        data: the cell's batches, built for this model.
        steps: the whole budget of optimiser steps; 0 for models without gradient.
        every: steps between two looks at validation.
        select_from: share of the budget before which validation is not looked at.
        precision, compiled: of training by gradient, see `precision` and `compile` of `Preset`.
        by: name of the score that suspicion is read from, "" for the headline.
        memory: where the first phase comes from or goes to; None where nothing is shared.
        judge: how bad a state is, lower is better, where not its validation loss decides; "last" keeps the last state.
        after_step: called after every optimiser step.
    """

    def __init__(
        self,
        new_model: Callable[[], InspectionModule],
        data: InspectionData,
        *,
        steps: int,
        every: int,
        select_from: float,
        seed: int,
        device: torch.device,
        precision: Precision = "fp32",
        compiled: bool = False,
        by: str = "",
        memory: PrefixMemory | None = None,
        judge: Callable[[InspectionModule], float] | Literal["validation", "last"] = "validation",
        after_step: Callable[[], None] | None = None,
    ) -> None:
        self.new_model = new_model
        self.data = data
        self.steps = steps
        self.every = every
        self.select_from = select_from
        self.seed = seed
        self.device = device
        self.precision = precision
        self.compiled = compiled
        self.by = by
        self.memory = memory
        self.judge = judge
        self.after_step = after_step
        self.drawn = 0
        self._begin(steps)

    def fit(self, weights: Mapping[str, float], steps: int, fresh: bool) -> None:
        """Train on for `steps`, from the start if `fresh`; weights are per row of `data.rows("train")`."""
        if fresh and self.drawn:
            self._begin(steps)
        samples = self._per_sample(weights)
        kind = self.model.trained_by
        if kind != "nothing":
            how = "in closed form" if kind == "fit" else f"{steps} steps {'from scratch' if fresh else 'further'}"
            _log.info("fit: %s on %d images, %d of weight 0", how, len(samples), sum(not w for w in samples.values()))
        if kind == "fit":
            if not fresh:
                self._begin(steps)
            self.model.fit(self.data.fit_loader(samples))
        elif kind == "gradient" and self.training is not None:
            first = fresh and self.drawn == 0 and all(w == 1 for w in weights.values())
            if first and self.memory is not None and self.memory.snapshot is not None:
                self.training.restore(self.memory.snapshot)
                _log.info("taken over from an earlier cell that shares this phase")
            else:
                self.training.run(self.data.train_loader(samples, self.drawn, steps), steps)
                if first and self.memory is not None:
                    self.memory.snapshot = self.training.snapshot()
        self.drawn += steps

    def score(self, rows: Sequence[str]) -> NDArray[np.floating]:
        """Suspicion of training rows under the model as it stands, (n,)."""
        scores = score_rows(self.model, self.data.score_loader("train", rows), self.device)
        name = self.by or scores.columns[0]
        if name not in scores:
            raise ValueError(f"refinement by {name!r}: this model scores {', '.join(scores.columns)}")
        return scores[name].to_numpy()

    @property
    def best_loss(self) -> float:
        """The lowest validation loss so far, infinite where nothing was selected."""
        return self.training.progress.best_loss if self.training is not None else float("inf")

    def finish(self) -> dict[str, Any] | None:
        """Put the selected state in place; what a record says of training."""
        if self.training is None:
            return None
        self.training.keep_best()
        progress = self.training.progress
        return {"steps": self.drawn, "best_step": progress.best_step, "validation_losses": progress.losses}

    def _begin(self, steps: int) -> None:
        self.model = self.new_model()
        self.model.prepare(
            TrainingInfo(steps, self.data.class_counts, self.data.n_groups, self.data.n_views, self.data.size)
        )
        self.training = None
        if self.model.trained_by == "gradient":
            self.training = PhasedTraining(
                self.model,
                self._judge(),
                every=self.every,
                select_from=int(self.select_from * steps),
                seed=self.seed,
                device=self.device,
                precision=self.precision,
                compiled=self.compiled,
                after_step=self.after_step,
            )

    def _judge(self) -> Callable[[InspectionModule], float] | None:
        if self.judge == "last":
            return None
        if self.judge == "validation":
            return partial(mean_validation_loss, loader=self.data.val_loader(), device=self.device)
        return self.judge

    def _per_sample(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Weights by sample: a row that is a part hands its weight to all its images."""
        if self.data.views == "one":
            return dict(weights)
        part = self.data.dataset.table.set_index("sample")["part"]
        return {s: weights[part[s]] for s in self.data.split.train if part[s] in weights}
