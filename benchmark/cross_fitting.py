"""Suspicion of a data set's training rows by any model: cross-fitted, or by the model's own fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from reshift.benchmark.fitting import Fitting
from reshift.datamodules.inspection_data import InspectionData
from reshift.datamodules.rows import Role
from reshift.models.base import InspectionModule
from reshift.refinement.cross_fit import FitAndScore, Over, cross_fit, standardised


class Ranker:
    """Trains fresh models on training rows and scores training or verified ones; nothing is selected or validated.

    Args:
        new_model: builds the untrained model, the same one each time.
        data: batches built for this model; its calibration rows, if it has any, are the verified ones.
        steps: optimiser steps of every fit; ignored by closed forms.
        by: name of the score that suspicion is read from, "" for the headline.
    """

    def __init__(
        self,
        new_model: Callable[[], InspectionModule],
        data: InspectionData,
        *,
        steps: int,
        seed: int,
        device: torch.device,
        by: str = "",
    ) -> None:
        self.new_model = new_model
        self.data = data
        self.steps = steps
        self.seed = seed
        self.device = device
        self.by = by
        self._aside = set(data.rows("calibration")["sample"]) if data.split.calibration else set()

    def cross_fitted(
        self, candidates: Sequence[str], *, over: Over, folds: int, repeats: int, verified: Sequence[str] = ()
    ) -> pd.DataFrame:
        """As `refinement.cross_fit.cross_fit` returns it, with the data set's parts."""
        frames = [self.data.rows("train"), *([self.data.rows("calibration")] if verified else [])]
        rows = pd.concat(frames)
        parts = dict(zip(rows["sample"], rows["part"], strict=True))
        return cross_fit(
            candidates,
            parts,
            self._fit_and_score(),
            folds=folds,
            repeats=repeats,
            over=over,
            verified=verified,
            seed=self.seed,
        )

    def in_sample(self, candidates: Sequence[str]) -> pd.DataFrame:
        """The same columns from one model that trained on all rows, in MADs of its own scores; `spread` is NaN."""
        rows = self.data.rows("train")
        part = dict(zip(rows["sample"], rows["part"], strict=True))
        names = sorted(candidates)
        found = self._fit_and_score()(dict.fromkeys(rows["sample"], 1.0), names)
        return pd.DataFrame(
            {
                "sample": names,
                "part": [part[name] for name in names],
                "verified": False,
                "suspicion": standardised(found, found),
                "spread": np.nan,
            }
        )

    def _fit_and_score(self) -> FitAndScore:
        def run(weights: Mapping[str, float], names: Sequence[str]) -> NDArray[np.floating]:
            fitting = Fitting(
                self.new_model,
                self.data,
                steps=self.steps,
                every=self.steps,
                select_from=0.0,
                seed=self.seed,
                device=self.device,
                by=self.by,
                judge="last",
            )
            fitting.fit(weights, self.steps, True)
            fitting.finish()
            scores = np.empty(len(names))
            aside = np.array([name in self._aside for name in names], dtype=bool)
            roles: tuple[Role, ...] = ("train", "calibration")
            for role in roles:
                here = aside == (role == "calibration")
                if here.any():
                    scores[here] = fitting.score(list(np.array(names)[here]), role)
            return scores

        return run
